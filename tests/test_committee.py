"""Several potentials that answer together."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces

from ase_geomformer import Potential, PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.committee import CommitteeCalculator, is_committee
from ase_geomformer.runs.provenance import provenance

pytestmark = pytest.mark.quick


@pytest.fixture
def members(make_potential: Callable[..., Potential]) -> list[Potential]:
    return [make_potential(seed=seed) for seed in (1, 2, 3)]


@pytest.fixture
def folder(members: list[Potential], silicon: Atoms, tmp_path: Path) -> Path:
    for index, member in enumerate(members):
        save_potential(member, tmp_path / f"member-{index}", Card(f"member-{index}"), [silicon])
    return tmp_path


def test_another_charge_is_another_structure(members: list[Potential], silicon: Atoms) -> None:
    silicon.calc = CommitteeCalculator(members)
    neutral = silicon.get_potential_energy()
    silicon.info["charge"] = 1
    charged = silicon.get_potential_energy()
    assert charged != neutral
    fresh = CommitteeCalculator(members)
    assert charged == fresh.get_property("energy", silicon)


def test_mean_and_spread(members: list[Potential], silicon: Atoms) -> None:
    committee = CommitteeCalculator(members)
    results = []
    for member in members:
        calculator = PotentialCalculator(member)
        results.append(
            {
                name: calculator.get_property(name, silicon)
                for name in ("energy", "energies", "forces", "stress")
            }
        )
    for name in results[0]:
        values = np.array([result[name] for result in results])
        np.testing.assert_allclose(committee.get_property(name, silicon), values.mean(axis=0))
    energies = [result["energy"] for result in results]
    assert committee.get_property("energy_spread", silicon) == pytest.approx(
        np.std(energies, ddof=1)
    )
    forces = np.array([result["forces"] for result in results])
    squares = np.sum((forces - forces.mean(axis=0)) ** 2, axis=(0, 2)) / 2
    np.testing.assert_allclose(committee.get_property("forces_spread", silicon), np.sqrt(squares))


def test_the_mean_is_a_potential(members: list[Potential], silicon: Atoms) -> None:
    silicon.calc = CommitteeCalculator(members)
    forces = silicon.get_forces()[:2]
    np.testing.assert_allclose(
        forces, calculate_numerical_forces(silicon, eps=1e-4, iatoms=[0, 1]), atol=1e-6
    )


def test_members_that_agree_have_no_spread(potential: Potential, ethanol: Atoms) -> None:
    committee = CommitteeCalculator([potential, potential])
    assert committee.get_property("energy_spread", ethanol) == 0.0
    assert not committee.get_property("forces_spread", ethanol).any()
    with pytest.raises(PropertyNotImplementedError):
        committee.get_property("stress", ethanol)


def test_a_folder_is_a_committee(folder: Path, members: list[Potential], silicon: Atoms) -> None:
    assert is_committee(folder)
    assert is_committee(["a", "b"])
    assert not is_committee(folder / "member-0")
    assert not is_committee("so3krates-rmd17-ethanol")
    stored = CommitteeCalculator(folder, dtype="float64")
    energy = stored.get_property("energy", silicon)
    assert energy == pytest.approx(CommitteeCalculator(members).get_property("energy", silicon))
    origin = provenance(stored)
    assert [entry["name"] for entry in origin["potential"]["members"]] == [
        "member-0", "member-1", "member-2",
    ]  # fmt: skip
    assert all(entry["sha256"] for entry in origin["potential"]["members"])
    assert origin["dtype"] == "float64"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (["so3krates-rmd17-ethanol"], ValueError, "at least two potentials"),
        (["no-such-potential", "nor-this"], FileNotFoundError, "no potential 'no-such-potential'"),
        ("no-such-folder", FileNotFoundError, "no potentials in the folder 'no-such-folder'"),
    ],
)
def test_no_committee(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CommitteeCalculator(given)


def test_any_calculators(silicon: Atoms, potential: Potential) -> None:
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05)
    other = EMT()
    committee = CommitteeCalculator([EMT(), other])
    np.testing.assert_allclose(committee.get_forces(copper), EMT().get_forces(copper))
    np.testing.assert_allclose(committee.get_stress(copper), EMT().get_stress(copper))
    assert "charges" not in committee.implemented_properties
    copied = copy.deepcopy(CommitteeCalculator([potential, potential]))
    assert copied.get_potential_energy(silicon) == pytest.approx(
        PotentialCalculator(potential).get_potential_energy(silicon)
    )


def test_a_calibration_on_all_cards_scales_the_spread_of_forces(
    members: list[Potential], silicon: Atoms, tmp_path: Path
) -> None:
    def stored(factors: list[dict[str, float]]) -> CommitteeCalculator:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        for index, (member, figures) in enumerate(zip(members, factors, strict=True)):
            card = Card(f"member-{index}", figures=figures)
            save_potential(member, place / f"member-{index}", card, [silicon])
        return CommitteeCalculator(place)

    raw = CommitteeCalculator(members).get_property("forces_spread", silicon)
    factor = {"spread_calibration": 1.7}
    calibrated = stored([factor] * 3)
    assert calibrated.calibration == 1.7
    np.testing.assert_allclose(
        calibrated.get_property("forces_spread", silicon), 1.7 * raw, rtol=1e-4
    )
    # Cards of different committees say nothing of this one.
    assert stored([factor, factor, {}]).calibration == 1.0
    assert stored([factor, factor, {"spread_calibration": 2.0}]).calibration == 1.0
