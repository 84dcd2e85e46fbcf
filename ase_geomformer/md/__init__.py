"""Molecular dynamics on ASE's integrators: drivers, guards, records and figures."""

from __future__ import annotations

from ase_geomformer.md.driver import run_md
from ase_geomformer.md.ensembles import ENSEMBLES
from ase_geomformer.md.guard_settings import GuardSettings
from ase_geomformer.md.harvest_settings import HarvestSettings
from ase_geomformer.md.observer import Observer
from ase_geomformer.md.result import MDResult, Statistic
from ase_geomformer.md.settings import MDSettings

__all__ = [
    "ENSEMBLES",
    "GuardSettings",
    "HarvestSettings",
    "MDResult",
    "MDSettings",
    "Observer",
    "Statistic",
    "run_md",
]
