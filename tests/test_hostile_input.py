"""Bad input gets one clear error that names the value and the remedy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.potential import Potential

CELL = 5.0 * np.eye(3)

HOSTILE: dict[str, tuple[Callable[[], Atoms], str]] = {
    "empty": (Atoms, "no atoms; give an Atoms object with at least one"),
    "NaN": (lambda: Atoms("H2", [[0, 0, 0], [0, np.nan, 1]]), r"1 of 2 atoms have a NaN .*index 1"),
    "infinite": (lambda: Atoms("H", [[np.inf, 0, 0]]), "NaN or infinite position"),
    "NaN cell": (lambda: Atoms("H", cell=np.nan * CELL, pbc=True), "cell has a NaN"),
    "element": (lambda: Atoms("HXeU"), r"does not know Xe \(Z=54\), U \(Z=92\); it was made for H"),
    "dummy atom": (lambda: Atoms("HX"), r"does not know Z=0"),
    "periodic without a cell": (lambda: Atoms("H", pbc=True), "periodic axes .* zero"),
    "flat periodic cell": (
        lambda: Atoms("H", cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True),
        "periodic axes .* plane",
    ),
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
        evaluate_many(potential, [good, good, make(), good], device="cpu")


def test_huge_coordinates_cost_nothing(potential: Potential) -> None:
    near = Atoms("H2", [[0, 0, 0], [0, 0, 0.75]])
    far = Atoms("H2", [[1e9, -1e9, 0], [1e9, -1e9, 0.75]])
    calculator = PotentialCalculator(potential, device="cpu")
    expected = calculator.get_property("energy", near)
    assert calculator.get_property("energy", far) == pytest.approx(expected, abs=1e-12)


def test_coinciding_atoms_give_finite_results(potential: Potential) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    forces = calculator.get_property("forces", Atoms("HHO", [[0, 0, 0], [0, 0, 0], [0, 0, 1]]))
    assert np.isfinite(forces).all()
