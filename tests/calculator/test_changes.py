"""When results are remembered, and when they are computed anew."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.constraints import FixAtoms

from ase_geomformer import PotentialCalculator
from ase_geomformer.potential import Potential
from tests.calculator.counting import evaluations

pytestmark = pytest.mark.quick

CHANGES: dict[str, Callable[[Atoms], object]] = {
    "position": lambda atoms: atoms.positions.__setitem__((0, 0), atoms.positions[0, 0] + 1e-6),
    "cell": lambda atoms: atoms.set_cell(atoms.cell * 1.001),
    "pbc": lambda atoms: atoms.set_pbc([True, True, False]),
    "element": lambda atoms: atoms.numbers.__setitem__(0, 6),
    "atom added": lambda atoms: atoms.append("H"),
    "atom removed": lambda atoms: atoms.pop(0),
    "charge": lambda atoms: atoms.info.update(charge=-1),
    "charge in place": lambda atoms: atoms.info["charge"].__setitem__(..., -1),
    "charge removed": lambda atoms: atoms.info.pop("charge"),
    "spin": lambda atoms: atoms.info.update(spin=np.int32(3)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change: str, potential: Potential, silicon: Atoms) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    silicon.info["charge"] = np.array(1.0)
    silicon.positions[:, 2] += 1.0
    before = calculator.get_property("energy", silicon)
    CHANGES[change](silicon)
    fresh = PotentialCalculator(potential, device="cpu")
    for name in ("energy", "forces"):
        value, expected = calculator.get_property(name, silicon), fresh.get_property(name, silicon)
        np.testing.assert_allclose(value, expected, atol=1e-12)
    assert abs(calculator.get_property("energy", silicon) - before) > 1e-9


def test_exchanged_atoms_are_noticed(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    forces = calculator.get_property("forces", ethanol)
    order = np.random.default_rng(1).permutation(len(ethanol))
    exchanged = ethanol[order]
    np.testing.assert_allclose(
        calculator.get_property("forces", exchanged), forces[order], atol=1e-12
    )


def test_what_the_potential_does_not_read_is_ignored(
    calculator: PotentialCalculator, ethanol: Atoms
) -> None:
    ethanol.calc = calculator
    ethanol.info["nested"] = {"array": np.zeros(3), "list": [np.ones(2)]}
    with evaluations(calculator) as seen:
        ethanol.get_forces()
        ethanol.info["nested"]["array"][0] = 1.0
        ethanol.info["table"] = np.arange(6.0)
        ethanol.info["table"] = np.arange(7.0)
        ethanol.info.update(charge=0, spin=np.array(1))
        ethanol.set_initial_charges(np.ones(9))
        ethanol.set_velocities(np.ones((9, 3)))
        ethanol.set_tags(range(9))
        ethanol.get_forces()
    assert seen == ["gradient"]


def test_one_calculator_serves_several_structures(
    calculator: PotentialCalculator, ethanol: Atoms, silicon: Atoms
) -> None:
    ethanol.calc = silicon.calc = calculator
    first = ethanol.get_forces()
    assert silicon.get_forces().shape == (8, 3)
    np.testing.assert_allclose(ethanol.get_forces(), first, atol=1e-13)


def test_direct_calls_keep_nothing_of_the_structure_before(
    calculator: PotentialCalculator, ethanol: Atoms, silicon: Atoms
) -> None:
    calculator.calculate(silicon, ["stresses"])
    calculator.calculate(ethanol, ["energy"])
    assert set(calculator.results) == {"energy", "free_energy", "energies"}
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
        calculator.get_property("stress", ethanol)


def test_a_failure_leaves_no_result_behind(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    ethanol.get_potential_energy()
    ethanol.positions[0] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match="NaN or infinite position"):
            ethanol.get_potential_energy()
    assert calculator.results == {}


def test_every_change_is_checked_again(potential: Potential, ethanol: Atoms) -> None:
    """Steps in which only positions change are not, and what was refused before stays refused."""
    ethanol.calc = calculator = PotentialCalculator(potential, device="cpu")
    ethanol.get_forces()
    for _ in range(2):
        ethanol.positions[0] += 0.01
        ethanol.get_forces()
        with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
            ethanol.get_stress()
    ethanol.center(vacuum=4.0)
    assert np.isfinite(ethanol.get_stress()).all()
    ethanol.cell = None
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
        ethanol.get_stress()
    assert "stress" not in calculator.results
    ethanol.numbers[0] = 79
    with pytest.raises(ValueError, match="does not know Au"):
        ethanol.get_forces()
    ethanol.numbers[0] = 6
    assert np.isfinite(ethanol.get_forces()).all()


def test_a_failure_between_two_structures_mixes_nothing(
    potential: Potential, ethanol: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    ethanol.calc = calculator = PotentialCalculator(potential, device="cpu")
    ethanol.get_forces()
    with monkeypatch.context() as patched:
        patched.setattr(calculator.prepared, "function", lambda *_: 1 / 0)
        ethanol.numbers[0] = 8
        with pytest.raises(ZeroDivisionError):
            ethanol.get_forces()
    ethanol.numbers[0] = 6
    ethanol.positions[0] += 0.1
    fresh = PotentialCalculator(potential, device="cpu")
    np.testing.assert_array_equal(ethanol.get_forces(), fresh.get_property("forces", ethanol))


def test_what_does_not_move_is_built_once(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    """And need not cross to the device at every step."""
    graphs = []
    prepared = calculator.prepared
    with patch.object(prepared, "function", side_effect=prepared.function) as function:
        for step in (0.0, 0.1, 0.1):
            ethanol.positions[0] += step
            calculator.get_property("forces", ethanol)
            graphs.append(function.call_args.args[0])
        ethanol.numbers[0] = 8
        calculator.get_property("forces", ethanol)
        other = function.call_args.args[0]
    for name in ("atomic_numbers", "batch", "charge", "spin", "cell"):
        assert len({id(getattr(graph, name)) for graph in graphs}) == 1
        assert getattr(other, name) is not getattr(graphs[0], name)
    assert other.atomic_numbers[0] == 8


def test_the_structure_of_the_results_is_a_copy_with_all_its_arrays(
    calculator: PotentialCalculator, ethanol: Atoms
) -> None:
    rng = np.random.default_rng(0)
    ethanol.info["step"] = 0

    def evaluated() -> Atoms:
        ethanol.positions += 0.01 * rng.normal(size=ethanol.positions.shape)
        calculator.get_property("forces", ethanol)
        found = calculator.atoms
        assert found.arrays.keys() == ethanol.arrays.keys()
        for name, values in ethanol.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], values)
            assert not np.shares_memory(found.arrays[name], values)
        assert found.info == ethanol.info
        assert found.info is not ethanol.info
        assert found.cell == pytest.approx(ethanol.cell)
        return found

    first = evaluated()
    ethanol.info["step"] = 1
    assert evaluated() is first
    ethanol.set_momenta(rng.normal(size=(9, 3)))  # an array that was not there
    evaluated()
    ethanol.set_constraint(FixAtoms([0]))
    assert evaluated().constraints[0].index.tolist() == [0]
    ethanol.set_constraint()
    assert evaluated().constraints == []
    ethanol.set_cell([8.0, 9.0, 10.0])
    evaluated()
