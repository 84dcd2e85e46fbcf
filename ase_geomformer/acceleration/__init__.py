"""Faster evaluation of potentials, with the results of the plain one."""

from ase_geomformer.acceleration.compiled import CompiledPotential
from ase_geomformer.acceleration.compiler import compiler_available

__all__ = ["CompiledPotential", "compiler_available"]
