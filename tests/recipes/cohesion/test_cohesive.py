from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write

from ase_geomformer.cli import main
from ase_geomformer.recipes import CohesiveSettings, cohesive
from tests.recipes.pair import Morse


def test_half_of_twelve_bonds() -> None:
    pair = Morse(cutoff=4.4)
    lattice, _ = pair.fcc()
    result = cohesive(bulk("Ar", "fcc", a=1.01 * lattice), pair, progress=False)
    assert result.converged
    expected = 6 * pair.bond_energy(lattice / np.sqrt(2))
    assert result.cohesive_energy_eV == pytest.approx(expected, rel=1e-4)
    assert result.atom_energies_eV == {"Ar": 0.0}
    assert result.atom_energies_from == "calculator"


def test_emt_metals_have_the_energies_that_emt_was_fitted_to(tmp_path: Path) -> None:
    """Cohesive energies E0 of K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surf. Sci. 366 (1996)."""
    file = tmp_path / "metals.extxyz"
    metals = {"Cu": 3.51, "Ag": 2.96, "Au": 3.80, "Ni": 4.44, "Pd": 3.90, "Pt": 5.85}
    write(file, [bulk(symbol) for symbol in metals])
    run = tmp_path / "run"
    words = ["cohesive", "--calculator", "emt", "--structure", str(file), "--output", str(run)]
    assert main([*words, "--progress", "false"]) == 0
    content = json.loads((run / "result.json").read_text())
    found = [one["cohesive_energy_eV_per_atom"] for one in content["structures"]]
    np.testing.assert_allclose(found, list(metals.values()), atol=0.02)
    assert content["atom_energies_from"] == "calculator"
    assert {"relaxed.extxyz", "cohesive.png"} <= {path.name for path in run.iterdir()}
    assert main([*words, "--progress", "false", "--resume"]) == 0
    assert json.loads((run / "result.json").read_text())["structures"] == content["structures"]


def test_given_energies_of_atoms_by_hand() -> None:
    settings = CohesiveSettings(relax=False, atom_energies={"H": -1.0, "O": -2.0})
    water = molecule("H2O")
    water.calc = EMT()
    result = cohesive([molecule("H2O")], EMT(), settings, progress=False)
    assert result.cohesive_energy_eV == pytest.approx((-4.0 - water.get_potential_energy()) / 3)
    with pytest.raises(ValueError, match="atom_energies has none for O"):
        cohesive(water, EMT(), CohesiveSettings(atom_energies={"H": -1.0}))


def test_a_trained_potential_is_refused_without_energies_of_atoms(tmp_path: Path) -> None:
    silicon, name = bulk("Si", a=5.468), "so3krates-mlearn-si"
    with pytest.raises(ValueError, match="'so3krates-mlearn-si' extrapolates.*set extrapolate"):
        cohesive(silicon, name, output=tmp_path / "run")
    assert not list(tmp_path.iterdir())
    fixed = CohesiveSettings(relax=False, extrapolate=True)
    result = cohesive(silicon, name, fixed, progress=False)
    assert result.atom_energies_from == "extrapolation"
    assert "extrapolates" in result.reason
    given = CohesiveSettings(relax=False, atom_energies={"Si": -0.8})
    assert "extrapolates" not in cohesive(silicon, name, given, progress=False).reason
