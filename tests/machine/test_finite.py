"""Whether numbers are finite."""

from __future__ import annotations

import numpy as np
import pytest

from ase_geomformer.machine.finite import all_finite, sum_of_squares

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite(bad: float) -> None:
    values = np.ones((7, 3))
    assert all_finite(values)
    values[3, 1] = bad
    assert not all_finite(values)


@pytest.mark.filterwarnings("ignore:overflow")
def test_squares_that_overflow_are_of_finite_numbers() -> None:
    values = np.full((2, 3), 1e200)
    assert sum_of_squares(values) == np.inf
    assert all_finite(values)


def test_no_numbers() -> None:
    assert all_finite(np.zeros((0, 3)))
