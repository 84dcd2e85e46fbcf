from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from ase.optimize import BFGS

from ase_geomformer.cli import main
from ase_geomformer.recipes import VacancySettings, vacancy
from tests.recipes.pair import Morse

STIFF = VacancySettings(relax_bulk=False, relax_atoms=False)


@pytest.mark.parametrize("cubic", [True, False])
def test_a_pair_crystal_loses_twelve_bonds_and_gets_six_back(cubic: bool) -> None:
    """Atoms that reach no further than the first neighbours do not relax."""
    pair = Morse(cutoff=4.4)
    lattice, _ = pair.fcc()
    bond = pair.bond_energy(lattice / np.sqrt(2))
    crystal = bulk("Ar", "fcc", a=lattice, cubic=cubic)
    result = vacancy(crystal, pair, STIFF, progress=False)
    assert result.converged
    (one,) = result.vacancies
    assert (one.element, one.site) == ("Ar", "4a")
    np.testing.assert_array_equal(result.sites, [4 * 2**3, 4 * 3**3])
    np.testing.assert_allclose(one.formation_energies_eV, 6 * bond, rtol=1e-6)
    np.testing.assert_allclose(one.removal_energies_eV, 12 * bond, rtol=1e-6)
    assert result.energy_eV == pytest.approx(6 * bond, rel=1e-6)
    assert [len(atoms) for atoms in one.structures] == [31, 107]
    assert result.schottky_energies_eV is None


def test_schottky_energy_of_a_compound_by_hand() -> None:
    """Four vacancies of twelve bonds each, whose atoms build a formula unit of twenty-four."""
    pair = Morse(cutoff=4.4)
    lattice, _ = pair.fcc()
    bond = pair.bond_energy(lattice / np.sqrt(2))
    ordered = bulk("Ar", "fcc", a=lattice, cubic=True)
    ordered.symbols[0] = "Ne"
    result = vacancy(ordered, pair, STIFF, progress=False)
    assert {(one.element, one.site) for one in result.vacancies} == {("Ne", "1a"), ("Ar", "3c")}
    assert result.schottky_energies_eV is not None
    np.testing.assert_allclose(result.schottky_energies_eV, 24 * bond, rtol=1e-6)
    assert result.energy_eV is None
    given = VacancySettings(
        relax_bulk=False, relax_atoms=False, sizes=1, elements=["Ne"],
        chemical_potentials={"Ne": -0.25},
    )  # fmt: skip
    one = vacancy(ordered, pair, given, progress=False)
    assert one.energy_eV == pytest.approx(12 * bond - 0.25, rel=1e-6)
    assert one.schottky_energies_eV is None


def test_the_verb_agrees_with_a_relaxation_by_hand_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    words = ["vacancy", "--calculator", "emt", "--structure", "examples/structures/copper.cif"]
    words += ["--output", str(run), "--progress", "false", "--min_length_A", "7", "--sizes", "1"]
    assert main(words) == 0
    content = json.loads((run / "result.json").read_text())
    side = float(read(run / "vacancies.traj").cell.lengths()[0])
    copper = bulk("Cu", cubic=True, a=0.5 * side)
    large = copper * (2, 2, 2)
    large.calc = EMT()
    defect = large.copy()
    del defect[0]
    defect.calc = EMT()
    BFGS(defect, logfile=None).run(fmax=0.01)
    share = 31 / 32 * large.get_potential_energy()
    expected = defect.get_potential_energy() - share
    assert content["energy_eV"] == pytest.approx(expected, abs=1e-4)
    assert content["vacancies"][0]["site"] == "4a"
    assert {"vacancies.traj", "vacancy.png", "final.traj"} <= {path.name for path in run.iterdir()}

    def unasked(self: Any, atoms: Atoms, *_: Any) -> None:
        if len(atoms) == 31:
            raise AssertionError("a finished supercell was evaluated again")
        return evaluate(self, atoms, *_)

    evaluate = EMT.calculate
    monkeypatch.setattr(EMT, "calculate", unasked)
    assert main([*words, "--resume"]) == 0
    again = json.loads((run / "result.json").read_text())
    assert again["energy_eV"] == content["energy_eV"]


def test_strange_elements_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="elements names O, and the crystal is Cu"):
        vacancy(bulk("Cu"), EMT(), VacancySettings(elements=["O"]), output=tmp_path / "run")
    with pytest.raises(ValueError, match="chemical_potentials names O"):
        vacancy(bulk("Cu"), EMT(), VacancySettings(chemical_potentials={"O": 1.0}))
    with pytest.raises(ValueError, match="needs a crystal"):
        vacancy(Atoms("H"), EMT())
    assert not list(tmp_path.iterdir())
