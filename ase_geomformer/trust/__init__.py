"""Trust: tests that users run on their own structures, with any ASE calculator."""

from ase_geomformer.trust.report import SelfTest
from ase_geomformer.trust.run import selftest

__all__ = ["SelfTest", "selftest"]
