from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ase_geomformer.training.losses import LossSettings, TargetLoss

pytestmark = pytest.mark.quick

ERRORS = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("l2", [25.0 / 3.0, 0.0]),  # the mean of the squares
        ("l1", [5.0, 0.0]),  # the length
        ("huber", [5.0 - 0.05, 0.0]),  # the length, less half of delta
    ],
)
def test_values_by_hand(kind: Any, expected: list[float]) -> None:
    found = TargetLoss(kind=kind, huber_delta=0.1).of(ERRORS)
    assert found.tolist() == pytest.approx(expected, abs=2e-6)


def test_huber_is_quadratic_up_to_its_delta_and_smooth_there() -> None:
    loss = TargetLoss(kind="huber", huber_delta=0.5)
    error = torch.tensor([[0.1], [0.499999], [0.500001]], dtype=torch.float64, requires_grad=True)
    values = loss.of(error)
    assert values[0].item() == pytest.approx(0.1**2 / (2 * 0.5))
    (slope,) = torch.autograd.grad(values.sum(), error)
    assert slope.flatten().tolist() == pytest.approx([0.2, 1.0, 1.0], abs=1e-5)


@pytest.mark.parametrize("kind", ["l1", "l2", "huber"])
def test_rotations_change_nothing(kind: Any) -> None:
    errors = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3)))
    turn = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    loss = TargetLoss(kind=kind)
    torch.testing.assert_close(loss.of(errors @ turn.T), loss.of(errors))
    assert not torch.allclose((errors @ turn.T).abs().sum(dim=-1), errors.abs().sum(dim=-1))


@pytest.mark.parametrize("kind", ["l1", "l2", "huber"])
def test_gradient_is_finite_where_there_is_no_error(kind: Any) -> None:
    error = torch.zeros(4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(TargetLoss(kind=kind).of(error).sum(), error)
    assert slope.tolist() == torch.zeros(4, 3).tolist()


def test_weight_moves_in_a_straight_line_after_its_start() -> None:
    loss = TargetLoss(weight=1.0, final_weight=3.0, start=0.5)
    weights = [loss.weight_at(progress) for progress in (0.0, 0.5, 0.75, 1.0)]
    assert weights == [1.0, 1.0, 2.0, 3.0]
    assert TargetLoss(weight=2.0).weight_at(0.9) == 2.0
    assert TargetLoss(weight=2.0, final_weight=5.0, start=1.0).weight_at(1.0) == 2.0


def test_targets_without_weight_are_left_out() -> None:
    assert list(LossSettings().targets) == ["energy", "forces"]
    later = LossSettings(energy=TargetLoss(weight=0.0, final_weight=1.0))
    assert list(later.targets) == ["energy", "forces"]
    every = LossSettings(energy=TargetLoss(weight=0.0), stress=TargetLoss())
    assert list(every.targets) == ["forces", "stress"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": -1.0}, "weight = -1.0 must be zero or positive"),
        ({"final_weight": -1.0}, "must be zero or positive"),
        ({"kind": "l3"}, "'l3' must be one of l2, l1, huber"),
        ({"start": 2.0}, "zero or positive, and at most 1"),
        ({"huber_delta": 0.0}, "huber_delta = 0.0 must be positive"),
    ],
)
def test_impossible_losses_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TargetLoss(**values)


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        LossSettings(energy=TargetLoss(weight=0.0), forces=TargetLoss(weight=0.0))
