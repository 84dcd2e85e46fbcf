"""What trajectories tell: structure, diffusion, vibrations, and how sure the averages are."""

from __future__ import annotations

from ase_geomformer.md.analysis.diffusion import (
    MSD,
    finite_size_correction,
    mean_square_displacement,
)
from ase_geomformer.md.analysis.dipole import DipoleSpectrum, dipole_spectrum
from ase_geomformer.md.analysis.fluctuations import Fluctuations, Response, fluctuations
from ase_geomformer.md.analysis.frames import Frames, load_frames
from ase_geomformer.md.analysis.rdf import RDF, radial_distribution
from ase_geomformer.md.analysis.vibrations import VACF, velocity_autocorrelation
from ase_geomformer.md.blocks import BlockAverage, block_average

__all__ = [
    "MSD",
    "RDF",
    "VACF",
    "BlockAverage",
    "DipoleSpectrum",
    "Fluctuations",
    "Frames",
    "Response",
    "block_average",
    "dipole_spectrum",
    "finite_size_correction",
    "fluctuations",
    "load_frames",
    "mean_square_displacement",
    "radial_distribution",
    "velocity_autocorrelation",
]
