"""What trajectories tell: structure, diffusion, vibrations, and how sure the averages are."""

from __future__ import annotations

from ase_geomformer.md.analysis.bonds import Bonds, Distribution, bonds_and_angles
from ase_geomformer.md.analysis.diffusion import (
    MSD,
    finite_size_correction,
    mean_square_displacement,
)
from ase_geomformer.md.analysis.dipole import DipoleSpectrum, dipole_spectrum
from ase_geomformer.md.analysis.fluctuations import Fluctuations, Response, fluctuations
from ase_geomformer.md.analysis.frames import Frames, load_frames
from ase_geomformer.md.analysis.rdf import RDF, radial_distribution
from ase_geomformer.md.analysis.result import AnalysisResult
from ase_geomformer.md.analysis.run import analyze
from ase_geomformer.md.analysis.settings import AnalysisSettings
from ase_geomformer.md.analysis.transport import GreenKubo, conductivity, viscosity
from ase_geomformer.md.analysis.vibrations import VACF, velocity_autocorrelation
from ase_geomformer.md.blocks import BlockAverage, block_average

__all__ = [
    "MSD",
    "RDF",
    "VACF",
    "AnalysisResult",
    "AnalysisSettings",
    "BlockAverage",
    "Bonds",
    "DipoleSpectrum",
    "Distribution",
    "Fluctuations",
    "Frames",
    "GreenKubo",
    "Response",
    "analyze",
    "block_average",
    "bonds_and_angles",
    "conductivity",
    "dipole_spectrum",
    "finite_size_correction",
    "fluctuations",
    "load_frames",
    "mean_square_displacement",
    "radial_distribution",
    "velocity_autocorrelation",
    "viscosity",
]
