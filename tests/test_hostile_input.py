"""Bad input gets one clear error that names the value and the remedy."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.potential import Potential

CELL = 5.0 * np.eye(3)

HOSTILE: dict[str, tuple[Callable[[], Atoms], str]] = {
    "empty": (Atoms, "no atoms; give an Atoms object with at least one"),
    "NaN": (lambda: Atoms("H2", [[0, 0, 0], [0, np.nan, 1]]), r"1 of 2 atoms have a NaN .*index 1"),
    "infinite": (lambda: Atoms("H", [[np.inf, 0, 0]]), "NaN or infinite position"),
    "NaN cell": (lambda: Atoms("H", cell=np.nan * CELL, pbc=True), "cell has a NaN"),
    "element": (lambda: Atoms("HXeU"), r"does not know Xe \(Z=54\), U \(Z=92\); it was made for H"),
    "virtual site": (lambda: Atoms("HX"), r"does not know X \(Z=0\).*virtual site.*remove it"),
    "periodic without a cell": (lambda: Atoms("H", pbc=True), "periodic axes .* zero"),
    "flat periodic cell": (
        lambda: Atoms("H", cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True),
        "periodic axes .* plane",
    ),
    "periodic with one zero vector": (
        lambda: Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=[4, 4, 0], pbc=True),
        r"periodic axes .* zero",
    ),
    "left-handed and flat": (
        lambda: Atoms("H", cell=[[0, 3, 0], [3, 0, 0], [1, 1, 1e-12]], pbc=True),
        "periodic axes .* plane",
    ),
    "infinite cell": (lambda: Atoms("H", cell=np.inf * CELL, pbc=True), "cell has a NaN"),
    "charge of many": (lambda: Atoms("H", info={"charge": np.ones(3)}), "charge.*finite number"),
    "charge of NaN": (lambda: Atoms("H", info={"charge": np.float32("nan")}), "finite number"),
    "complex spin": (lambda: Atoms("H", info={"spin": 1j}), "spin.*finite number"),
    "charge in words": (lambda: Atoms("H", info={"charge": "one"}), "charge.*finite number.*'one'"),
    "spin of nothing": (lambda: Atoms("H", info={"spin": None}), "spin.*finite number.*None"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_structures(case: str, potential: Potential) -> None:
    make, message = HOSTILE[case]
    calculator = PotentialCalculator(potential, device="cpu")
    with pytest.raises(ValueError, match=message):
        calculator.get_property("energy", make())
    # Nothing of it stays: the next structure is computed as if nothing had happened.
    good = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])
    fresh = PotentialCalculator(potential, device="cpu").get_property("forces", good)
    np.testing.assert_array_equal(calculator.get_property("forces", good), fresh)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_structures_in_a_batch(case: str, potential: Potential) -> None:
    make, message = HOSTILE[case]
    good = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])
    with pytest.raises(ValueError, match=f"structure 2 .*{message}"):
        evaluate_many([good, good, make(), good], potential, device="cpu")


def test_huge_coordinates_cost_nothing(potential: Potential) -> None:
    near = Atoms("H2", [[0, 0, 0], [0, 0, 0.75]])
    far = Atoms("H2", [[1e9, -1e9, 0], [1e9, -1e9, 0.75]])
    calculator = PotentialCalculator(potential, device="cpu")
    expected = calculator.get_property("energy", near)
    assert calculator.get_property("energy", far) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("far", [1e14, 1e18, 1e300])
@pytest.mark.parametrize("cell", [None, 20.0, 1e18, 1e300])
def test_coordinates_without_end_are_refused(
    far: float, cell: float | None, potential: Potential
) -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, far, 0.75]], cell=cell and [cell] * 3, pbc=bool(cell))
    calculator = PotentialCalculator(potential, device="cpu")
    with pytest.raises(ValueError, match=r"atom 1 is 1e\+.* Å away|cannot be repeated"):
        calculator.get_property("energy", atoms)


def test_coinciding_atoms_give_finite_results(potential: Potential) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    forces = calculator.get_property("forces", Atoms("HHO", [[0, 0, 0], [0, 0, 0], [0, 0, 1]]))
    assert np.isfinite(forces).all()


def results(potential: Potential, atoms: Atoms) -> tuple[float, np.ndarray]:
    calculator = PotentialCalculator(potential, device="cpu")
    return calculator.get_property("energy", atoms), calculator.get_property("forces", atoms)


def test_a_box_of_a_million_angstroms_costs_nothing(potential: Potential, ethanol: Atoms) -> None:
    energy, forces = results(potential, ethanol)
    ethanol.set_cell(1e6 * np.eye(3))
    ethanol.pbc = True
    ethanol.positions += 5e5
    boxed_energy, boxed_forces = results(potential, ethanol)
    # Positions of 5e5 Å are rounded to 6e-11 Å.
    assert boxed_energy == pytest.approx(energy, abs=1e-7)
    np.testing.assert_allclose(boxed_forces, forces, atol=1e-7)


def test_a_left_handed_cell_is_its_right_handed_one(potential: Potential, silicon: Atoms) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    other = silicon.copy()
    other.set_cell(silicon.cell.array[[1, 0, 2]])
    assert np.linalg.det(other.cell.array) < 0
    for name in ("energy", "forces", "stress"):
        np.testing.assert_allclose(
            calculator.get_property(name, other), calculator.get_property(name, silicon), atol=1e-9
        )


def test_a_sliver_of_a_cell_is_its_supercell(make_potential: Callable) -> None:
    """A cell thinner than 0.1 Å: an atom sees over a hundred images of itself along it."""
    potential = make_potential(cutoff=3.0)
    sliver = Atoms("H", cell=[0.09, 40.0, 40.0], pbc=True)
    energy, forces = results(potential, sliver)
    repeated_energy, _ = results(potential, sliver.repeat((3, 1, 1)))
    assert np.isfinite(energy)
    assert repeated_energy == pytest.approx(3 * energy, rel=1e-9)
    np.testing.assert_allclose(forces, 0.0, atol=1e-6 * abs(energy))


def test_open_axes_may_have_any_vectors(potential: Potential, silicon: Atoms) -> None:
    """Zero, huge and skew vectors on axes that do not repeat play no part."""
    silicon.pbc = [True, False, False]
    expected = results(potential, silicon)
    for open_vectors in (np.zeros((2, 3)), 1e6 * np.eye(3)[1:], np.ones((2, 3))):
        other = silicon.copy()
        other.cell[1:] = open_vectors
        energy, forces = results(potential, other)
        assert energy == pytest.approx(expected[0], abs=1e-9)
        np.testing.assert_allclose(forces, expected[1], atol=1e-9)


def test_atoms_a_tenth_of_an_angstrom_apart(potential: Potential) -> None:
    energy, forces = results(potential, Atoms("H2O", [[0, 0, 0], [0, 0, 0.1], [0, 0.05, 0.05]]))
    assert np.isfinite(energy)
    assert np.isfinite(forces).all()
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-9 * np.abs(forces).max())


@pytest.mark.parametrize("evaluate", [results, lambda p, a: evaluate_many([a], p, device="cpu")])
def test_neighbours_beyond_memory_are_refused_with_numbers(
    evaluate: Callable, potential: Potential
) -> None:
    """A cell given in nanometres, or in fractions: refused by what it would take."""
    crystal = Atoms("Si8", np.random.default_rng(0).random((8, 3)), cell=[5e-5] * 3, pbc=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ValueError, match=r"about .*e\+\d+ edges .* GB; the device has .* GB.*unit is"
    ):
        evaluate(potential, crystal)
    # Kilobytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5e5


def test_a_network_beyond_memory_is_refused_with_numbers(
    potential: Potential, silicon: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_geomformer.runtime.memory_model.free_memory", lambda device: 1e6)
    with pytest.raises(
        ValueError, match=r"128 atoms with \d+ edges needs about .* GB, and only 0.001 GB"
    ):
        results(potential, silicon.repeat((2, 2, 4)))


@pytest.mark.parametrize(
    "value", [1, 1.0, np.int8(1), np.float32(1), np.array(1), np.array([1.0]), True]
)
def test_numbers_in_info_are_numbers(value: Any, potential: Potential, ethanol: Atoms) -> None:
    ethanol.info["charge"] = 1
    expected = results(potential, ethanol)[0]
    ethanol.info.update(charge=value, comment=np.arange(5), nested={"a": [1]})
    assert results(potential, ethanol)[0] == expected
    assert ethanol.info["charge"] is value


def test_read_only_and_strided_arrays(potential: Potential, silicon: Atoms) -> None:
    expected = results(potential, silicon)
    other = silicon.copy()
    # Every second row of a Fortran-ordered array, not writable.
    wide = np.asfortranarray(np.repeat(silicon.positions, 2, axis=0))
    other.arrays["positions"] = wide[::2]
    assert not other.arrays["positions"].flags.c_contiguous
    for array in (*other.arrays.values(), other.cell.array, other.pbc):
        array.flags.writeable = False
    energy, forces = results(potential, other)
    assert energy == expected[0]
    np.testing.assert_array_equal(forces, expected[1])
    (found,) = evaluate_many([other], potential, device="cpu")
    np.testing.assert_allclose(found["forces"], expected[1], atol=1e-12)


def test_inputs_are_left_as_they_are(potential: Potential, silicon: Atoms) -> None:
    silicon.set_constraint(FixAtoms([0]))
    silicon.positions -= 7.0  # out of the cell
    silicon.info["charge"] = np.array(1.0)
    silicon.set_tags(range(8))
    before = pickle.dumps(silicon.todict())
    calculator = PotentialCalculator(potential, device="cpu")
    for name in ("energy", "forces", "stress", "stresses"):
        calculator.get_property(name, silicon)
    evaluate_many([silicon, silicon], potential, device="cpu")
    assert pickle.dumps(silicon.todict()) == before
    assert silicon.calc is None


def test_results_are_the_callers_own(potential: Potential, silicon: Atoms) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    forces = calculator.get_property("forces", silicon)
    expected = forces.copy()
    forces[:] = 0.0
    np.testing.assert_array_equal(calculator.get_property("forces", silicon), expected)
