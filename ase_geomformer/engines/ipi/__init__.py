"""Path integrals with i-PI: runs in this process, and input for i-PI's own program."""

from ase_geomformer.engines.ipi.inputs import forcefield, write_input
from ase_geomformer.engines.ipi.result import PathIntegralResult
from ase_geomformer.engines.ipi.run import path_integrals
from ase_geomformer.engines.ipi.settings import PathIntegralSettings

__all__ = [
    "PathIntegralResult",
    "PathIntegralSettings",
    "forcefield",
    "path_integrals",
    "write_input",
]
