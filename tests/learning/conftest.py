from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module of teachers that worker processes find, too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return "teachers"


@pytest.fixture
def alloys() -> list[Atoms]:
    """Ten rattled cells of Cu3Au."""
    rng = np.random.default_rng(0)
    structures = []
    for _ in range(10):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[0] = "Au"
        atoms.positions += 0.05 * rng.standard_normal((4, 3))
        structures.append(atoms)
    return structures
