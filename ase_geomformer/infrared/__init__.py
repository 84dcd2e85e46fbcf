"""Infrared absorption: how the dipole follows the atoms, and what a spectrometer sees of it."""

from __future__ import annotations

from ase_geomformer.infrared.polar_tensors import finite_difference_polar_tensors, polar_tensors
from ase_geomformer.infrared.spectrum import broadened, intensities

__all__ = ["broadened", "finite_difference_polar_tensors", "intensities", "polar_tensors"]
