"""LAMMPS: a potential in scripts of its users, and runs from the command line."""

from ase_geomformer.engines.lammps.attach import Attached, attach, start

__all__ = ["Attached", "attach", "start"]
