"""The physical checks of an architecture, for the tests of whoever writes one.

Needs pytest; nothing else in the package imports it. ``docs/your_own_architecture.md`` shows its
use.
"""

from __future__ import annotations

from ase_geomformer.testing.exemptions import Exemption
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.suite import ArchitectureSuite, random_potential

__all__ = ["ArchitectureSuite", "Exemption", "Limits", "random_potential"]
