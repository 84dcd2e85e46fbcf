"""Dynamics of one potential that leaves the domain of its training data."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.guard_settings import GuardSettings
from ase_geomformer.md.harvest_settings import HarvestSettings

NAME = "geomformer-rmd17-ethanol"


def test_the_guard_and_the_harvest(ethanol: Atoms, tmp_path: Path) -> None:
    calculator = PotentialCalculator(NAME, device="cpu", domain="ignore")
    harvest = HarvestSettings(min_extrapolation=0.01, min_steps=2, max_frames=2)
    settings = MDSettings(steps=6, harvest=harvest, guards=GuardSettings(max_extrapolation=5.0))
    result = run_md(ethanol, calculator, settings, output=tmp_path / "run", progress=False)
    assert result.completed
    frames = read(tmp_path / "run" / "harvest.extxyz", index=":")
    assert [frame.info["step"] for frame in frames] == [0, 2]
    for frame in frames:
        found = calculator.get_property("extrapolation", frame)
        assert frame.arrays["extrapolation"] == pytest.approx(found, rel=1e-3)
        assert frame.info["max_extrapolation"] == pytest.approx(found.max(), rel=1e-3)
        assert "energy_spread_eV" not in frame.info
    strict = MDSettings(steps=6, guards=GuardSettings(max_extrapolation=0.01))
    stopped = run_md(ethanol, calculator, strict, progress=False)
    assert not stopped.completed
    assert "are unlike the training data: extrapolation grade" in stopped.reason
    assert "more than guards.max_extrapolation = 0.01" in stopped.reason


def test_calculators_without_grades_are_refused(ethanol: Atoms) -> None:
    for settings in (
        MDSettings(guards=GuardSettings(max_extrapolation=1.0)),
        MDSettings(harvest=HarvestSettings(min_extrapolation=1.0)),
    ):
        with pytest.raises(ValueError, match="needs a single potential with statistics of its"):
            run_md(ethanol, EMT(), settings, progress=False)
