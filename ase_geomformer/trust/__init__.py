"""Self-test of a potential, or of any ASE calculator, on a structure of the user."""

from ase_geomformer.trust.report import SelfTest
from ase_geomformer.trust.run import selftest

__all__ = ["SelfTest", "selftest"]
