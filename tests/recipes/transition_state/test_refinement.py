from __future__ import annotations

import numpy as np
import pytest

from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.recipes.transition_state.refinement import refine_saddle
from tests.recipes.path.conftest import SADDLES, SCALE, MuellerBrown, at


@pytest.mark.parametrize("name", SADDLES)
def test_finds_the_known_saddle_points(name: str) -> None:
    place, energy = SADDLES[name]
    atoms = at("A")
    atoms.positions[1, :2] = np.array(place) + [0.03, -0.04]
    before = atoms.positions.copy()
    saddle = refine_saddle(atoms, as_evaluator(MuellerBrown()), fmax=1e-6, step_A=1e-4)
    assert saddle.converged
    assert saddle.steps < 10
    np.testing.assert_allclose(saddle.atoms.positions[1, :2], place, atol=1e-5)
    assert saddle.energy_eV == pytest.approx(SCALE * energy, abs=1e-7)
    assert saddle.is_transition_state
    assert saddle.moved_A == pytest.approx(0.05, abs=1e-4)
    np.testing.assert_array_equal(atoms.positions, before)


def test_follows_the_direction_it_is_given() -> None:
    """Near a minimum every mode is real: uphill is where the direction points."""
    atoms = at("C")
    atoms.positions[1, :2] += 0.4 * (np.array(SADDLES["CB"][0]) - atoms.positions[1, :2])
    direction = np.array([[0.0, 0.0, 0.0], [0.8, -0.6, 0.0]])
    saddle = refine_saddle(
        atoms, as_evaluator(MuellerBrown()), fmax=1e-5, step_A=1e-4, direction=direction
    )
    assert saddle.converged
    np.testing.assert_allclose(saddle.atoms.positions[1, :2], SADDLES["CB"][0], atol=1e-4)


def test_says_when_it_did_not_arrive() -> None:
    atoms = at("C")
    atoms.positions[1, 0] += 0.2
    saddle = refine_saddle(atoms, as_evaluator(MuellerBrown()), fmax=1e-9, steps=1)
    assert not saddle.converged
    assert saddle.steps == 1
    assert saddle.is_transition_state is None
