"""One HTML page for a run, or for several side by side, that needs nothing but a browser."""

from ase_geomformer.page.render import check_installed, write_page

__all__ = ["check_installed", "write_page"]
