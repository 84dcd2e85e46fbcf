"""docs/your_own_architecture.md: its example passes the suite, and is what the page shows."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from ase import Atoms

from ase_geomformer import PotentialCalculator
from ase_geomformer.architectures.base import architecture_class
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.testing import random_potential

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
FILES = ("tiny_painn.py", "test_tiny_painn.py")

sys.path.insert(0, str(EXAMPLES))
try:
    TestTinyPaiNN = importlib.import_module("test_tiny_painn").TestTinyPaiNN
finally:
    sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize("name", FILES)
def test_page_shows_the_example(root: Path, name: str) -> None:
    page = (root / "docs" / "your_own_architecture.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert (EXAMPLES / name).read_text(encoding="utf-8") in blocks


def test_importing_it_registers_it() -> None:
    assert architecture_class("tiny-painn").__module__ == "tiny_painn"


def test_its_potentials_are_stored_and_loaded(tmp_path: Path, ethanol: Atoms) -> None:
    potential = random_potential("tiny-painn", {"num_features": 8, "num_layers": 1})
    save_potential(potential, tmp_path / "mine", Card("mine"), [ethanol])
    energies = []
    for source in (potential, tmp_path / "mine"):
        ethanol.calc = PotentialCalculator(source)
        energies.append(ethanol.get_potential_energy())
    assert energies[0] == energies[1]
