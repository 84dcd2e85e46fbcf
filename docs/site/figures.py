"""Figures of tutorials: those that a block ends with, as a notebook shows them."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Save the figure that is the value of a block's last line; called by sphinx-gallery."""
    value = variables["example_globals"].get("___")
    if not isinstance(value, Figure):
        return ""
    path = next(variables["image_path_iterator"])
    value.savefig(path, dpi=160)
    variables["example_globals"]["___"] = None
    return str(figure_rst([path], settings["src_dir"]))


def _get_sg_image_scraper() -> Any:
    """What sphinx-gallery takes from a module that it is given by name."""
    return scrape
