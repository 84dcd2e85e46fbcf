"""Settings of Sphinx; ``make docs`` builds the site into ``build/docs``."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "site"))

import pages  # noqa: E402  (in docs/site)

project = "ase-geomformer"
author = "The ase-geomformer developers"
copyright = author
release = version = installed("ase-geomformer")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["examples", "site", "tutorials"]
smartquotes = False  # two hyphens begin an option

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # the docstrings give them, with shapes and units
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "generated/tutorials",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "abort_on_example_error": True,
    "image_scrapers": ("figures",),
    "ignore_repr_types": r"matplotlib\.figure",
    "reset_modules": (),
}

html_theme = "furo"
html_title = project
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5a94", "color-brand-content": "#1f5a94"},
    "dark_css_variables": {"color-brand-primary": "#7db3e8", "color-brand-content": "#7db3e8"},
}
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
copybutton_prompt_text = "$ "
linkcheck_ignore = [r"https://doi\.org/.*"]  # publishers refuse programs


def setup(app: object) -> None:
    """Write the pages that are made from the repository, and point links to them."""
    pages.generate(HERE / "generated")
    app.connect("source-read", pages.rewrite_links)
