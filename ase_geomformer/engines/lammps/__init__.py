"""LAMMPS: a potential in scripts of its users, and runs from the command line."""

from ase_geomformer.engines.lammps.attach import Attached, attach, start
from ase_geomformer.engines.lammps.structure import create_atoms

__all__ = ["Attached", "attach", "create_atoms", "start"]
