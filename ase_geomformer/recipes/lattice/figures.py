"""Figures of phonons, under the name that scripts have imported them from."""

from ase_geomformer.recipes.lattice.phonons.figure import draw_bands, draw_overlay, draw_thermal

__all__ = ["draw_bands", "draw_overlay", "draw_thermal"]
