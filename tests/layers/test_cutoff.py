from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ase_geomformer.layers.cutoff import CUTOFFS, polynomial_cutoff

pytestmark = pytest.mark.quick

CUTOFF = 4.5
NAMES = sorted(CUTOFFS)
# How many derivatives are continuous at the cutoff.
SMOOTHNESS = {"cosine": 1, "quintic": 2, "exponential": 4}

Cutoff = Callable[[Tensor, float], Tensor]


def derivatives(function: Cutoff, distances: Tensor, order: int) -> list[Tensor]:
    """The function and its derivatives up to ``order``."""
    distances = distances.clone().requires_grad_()
    results = [function(distances, CUTOFF)]
    for _ in range(order):
        (slope,) = torch.autograd.grad(results[-1].sum(), distances, create_graph=True)
        results.append(slope)
    return [result.detach() for result in results]


@pytest.mark.parametrize(
    ("name", "table"), [("quintic", "phys"), ("cosine", "cosine"), ("exponential", "exponential")]
)
def test_tables_of_the_original_code(shared: Path, name: str, table: str) -> None:
    tables = np.load(shared / "fixtures" / "so3krates" / "tables.npz")
    values = CUTOFFS[name](torch.from_numpy(tables["distance"]), CUTOFF).numpy()
    np.testing.assert_allclose(values, tables[f"cutoff.{table}.rc4.5"], rtol=0.0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_falls_from_one_to_zero(name: str) -> None:
    distances = torch.linspace(0.0, CUTOFF, 200, dtype=torch.float64)
    values = CUTOFFS[name](distances, CUTOFF)
    assert values[0] == 1.0
    assert values[-1] == 0.0
    assert (values.diff() <= 0.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_beyond(name: str) -> None:
    distances = torch.tensor([CUTOFF, CUTOFF + 1e-9, 1.5 * CUTOFF, 1e3], dtype=torch.float64)
    for result in derivatives(CUTOFFS[name], distances, 2):
        assert (result == 0.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_smoothness_at_the_cutoff(name: str) -> None:
    """Just inside the cutoff every derivative promised is as good as zero."""
    near = torch.tensor([CUTOFF - 1e-6], dtype=torch.float64)
    for result in derivatives(CUTOFFS[name], near, SMOOTHNESS[name]):
        assert result.abs() < 1e-4


def test_cosine_promises_no_more_than_one_derivative() -> None:
    near = torch.tensor([CUTOFF - 1e-6], dtype=torch.float64)
    curvature = derivatives(CUTOFFS["cosine"], near, 2)[2]
    expected = torch.tensor([0.5 * (np.pi / CUTOFF) ** 2], dtype=torch.float64)
    torch.testing.assert_close(curvature, expected)


@pytest.mark.parametrize("name", NAMES)
def test_two_derivatives(name: str) -> None:
    distances = torch.tensor([0.0, 0.3, 2.0, 4.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: CUTOFFS[name](d, CUTOFF), distances)
    assert torch.autograd.gradgradcheck(lambda d: CUTOFFS[name](d, CUTOFF), distances)


def test_polynomial_cutoff_and_its_limits() -> None:
    """1 at zero, 0 from the cutoff on, which may differ from value to value; two derivatives."""
    values = torch.tensor([0.0, 0.2, 1.0, 3.0], dtype=torch.float64)
    cutoffs = torch.tensor([0.5, 0.4, 1.0, 2.0], dtype=torch.float64)
    found = polynomial_cutoff(values, cutoffs)
    expected = 1.0 - 28.0 * 0.5**6 + 48.0 * 0.5**7 - 21.0 * 0.5**8
    torch.testing.assert_close(found, torch.tensor([1.0, expected, 0.0, 0.0]).double())
    for value in derivatives(polynomial_cutoff, torch.tensor([CUTOFF - 1e-6]).double(), 2):
        assert value.abs() < 1e-3
