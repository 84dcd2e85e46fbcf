"""What a run is predicted to evaluate is what it evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes import (
    ConductivitySettings,
    PhononSettings,
    QHASettings,
    base,
    phonons,
    qha,
    thermal_conductivity,
)

COPPER = bulk("Cu", a=3.63)
SMALL = {"supercell": [2, 2, 2], "mesh": [2, 2, 2], "relax": False, "imaginary": "ignore"}


@pytest.fixture
def foreseen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Atoms together, and evaluations, of each run from now on."""
    found: list[tuple[int, float]] = []

    def note(evaluator: Any, structures: Sequence[Atoms], evaluations: float) -> Any:
        found.append((sum(map(len, structures)), evaluations))
        return evaluator

    monkeypatch.setattr(base, "compile_if_long", note)
    return found


def test_phonons(foreseen: list) -> None:
    run = phonons(COPPER, EMT(), PhononSettings(**SMALL), progress=False, compile_if_long=True)
    assert foreseen == [(8, run.structures_evaluated)]
    phonons(COPPER, EMT(), PhononSettings(**SMALL), progress=False)
    assert len(foreseen) == 1, "only where it may compile"


def test_volumes(foreseen: list) -> None:
    settings = QHASettings(volumes=5, phonons=PhononSettings(**SMALL))
    qha(COPPER, EMT(), settings, progress=False, compile_if_long=True)
    assert foreseen == [(8, 5 + 3)]  # and three for Grüneisen parameters


def test_conductivity(foreseen: list) -> None:
    pytest.importorskip("phono3py")
    settings = ConductivitySettings(**SMALL, phonon_supercell=[2, 2, 2])
    options = {"progress": False, "compile_if_long": True}
    run = thermal_conductivity(COPPER, EMT(), settings, **options)
    assert foreseen == [(8, run.structures_evaluated)]
