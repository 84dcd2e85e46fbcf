"""The figure of a thermal conductivity."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ase_geomformer.recipes.lattice.conductivity.figure import _curves

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("diagonal", "names"),
    [
        ([1.0, 1.0, 1.0], ["xx = yy = zz"]),
        ([1.0, 1.0 + 1e-6, 0.4], ["xx = yy", "zz"]),
        ([1.0, 0.4, 1.0], ["yy", "xx = zz"]),
        ([1.0, 0.9, 0.4], ["xx", "yy", "zz"]),
    ],
)
def test_curves_that_would_hide_each_other_are_one(diagonal: list[float], names: list[str]) -> None:
    kelvin = np.array([100.0, 200.0, 300.0])
    result = SimpleNamespace(
        conductivity_W_per_mK=np.outer(3e4 / kelvin, [*diagonal, 0.0, 0.0, 0.0])
    )
    found = _curves(result)
    assert list(found) == names
    for name, values in found.items():
        row = ("xx", "yy", "zz").index(name[-2:])
        np.testing.assert_allclose(values, 3e4 / kelvin * diagonal[row], rtol=1e-5)
