"""Structures of pymatgen, and the examples for other workflow codes where they are installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer import evaluate_many
from ase_geomformer.recipes import RelaxSettings, relax, relax_many
from ase_geomformer.runs.foreign import as_atoms

# By script: the package it needs, and what it prints.
SCRIPTS = {
    "pymatgen_structure": ("pymatgen", r"volume 20\.4\d\d Å³/atom\nbulk modulus 8\d\.\d GPa"),
    "matcalc_elasticity": ("matcalc", r"bulk modulus 8\d\.\d GPa"),
    "jobflow_relax_and_vibrate": ("jobflow", r"O-H stretch 3[67]\d\d 1/cm"),
    "atomate2_relax": ("atomate2", r"volume 20\.4\d\d Å³/atom"),
    "quacc_relax": ("quacc", r"volume 20\.4\d\d Å³/atom"),
    "aiida_energy": ("aiida", r"energy -10\.8\d\d eV"),
}


class Theirs:
    """What we use of pymatgen's Structure."""

    def __init__(self, atoms: Atoms, *, is_ordered: bool = True) -> None:
        self.atoms, self.is_ordered = atoms, is_ordered

    def to_ase_atoms(self) -> Atoms:
        return self.atoms


def test_structures_of_pymatgen_are_taken() -> None:
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05, seed=0)
    theirs, settings = Theirs(copper), RelaxSettings(fmax=1e-3)
    expected = relax(copper, EMT(), settings, progress=False)
    for found in (
        relax(theirs, EMT(), settings, progress=False),
        relax(atoms=theirs, potential=EMT(), settings=settings, progress=False),
        relax_many([theirs], EMT(), progress=False).results[0],
    ):
        assert type(found.atoms) is Atoms
        assert found.energy == pytest.approx(expected.energy, abs=1e-4)
    name = "so3krates-mlearn-cu"
    (one,), (other,) = evaluate_many(name, [theirs]), evaluate_many(name, [copper])
    np.testing.assert_allclose(one["forces"], other["forces"])


def test_others_are_left_alone() -> None:
    copper = bulk("Cu")
    assert as_atoms(copper) is copper
    assert as_atoms("structures") == "structures"
    assert as_atoms((copper, Theirs(copper)))[0] is copper
    with pytest.raises(ValueError, match="occupied in part"):
        as_atoms(Theirs(copper, is_ordered=False))


def test_pymatgen_itself() -> None:
    core = pytest.importorskip("pymatgen.core")
    silicon = core.Structure(core.Lattice.cubic(5.43), ["Si", "Si"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    found = as_atoms(silicon)
    assert type(found) is Atoms
    assert found.pbc.all()
    np.testing.assert_allclose(found.positions[1], 2.715)
    mixed = core.Structure(core.Lattice.cubic(5.43), [{"Si": 0.5, "Ge": 0.5}], [[0, 0, 0]])
    with pytest.raises(ValueError, match="occupied in part"):
        as_atoms(mixed)


@pytest.mark.parametrize("script", SCRIPTS)
def test_example(script: str, root: Path, run_python: Callable, tmp_path: Path) -> None:
    package, pattern = SCRIPTS[script]
    pytest.importorskip(package)
    done = run_python(str(root / "md_examples" / "workflows" / f"{script}.py"), cwd=tmp_path)
    assert re.search(pattern, done.stdout)


def test_every_script_is_listed(root: Path) -> None:
    page = (root / "docs" / "workflows.md").read_text(encoding="utf-8")
    folder = root / "md_examples" / "workflows"
    assert {file.stem for file in folder.glob("*.py")} == set(SCRIPTS)
    assert all(f"{script}.py" in page for script in SCRIPTS)


def test_ase_finds_us_by_name() -> None:
    """By its plug-ins, and by what the page says of its older registry."""
    from ase.calculators import calculator

    from ase_geomformer import PotentialCalculator

    if "geomformer" not in calculator.external_calculators:
        calculator.register_calculator_class("geomformer", PotentialCalculator)
    try:
        assert calculator.get_calculator_class("geomformer") is PotentialCalculator
    finally:
        calculator.external_calculators.pop("geomformer")
