from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ase_geomformer.physics.switch import smooth_switch

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("on", "off"), [(10, 12), (0, 1.5)])
def test_tables_of_the_original_code(shared: Path, on: float, off: float) -> None:
    tables = np.load(shared / "fixtures" / "so3krates" / "tables.npz")
    values = smooth_switch(torch.from_numpy(tables["pair_distance"]), on, off).numpy()
    expected = tables[f"switch.on{on}.off{off}"]
    np.testing.assert_allclose(values, expected, rtol=0.0, atol=1e-13)


def test_goes_from_one_to_zero_by_way_of_a_half() -> None:
    distances = torch.linspace(0.0, 3.0, 301, dtype=torch.float64)
    values = smooth_switch(distances, 1.0, 2.0)
    assert (values[distances <= 1.0] == 1.0).all()
    assert (values[distances >= 2.0] == 0.0).all()
    assert (values.diff() <= 0.0).all()
    torch.testing.assert_close(values + values.flip(0), torch.ones_like(values))


@pytest.mark.parametrize("end", [1.0, 2.0])
def test_all_derivatives_vanish_at_the_ends(end: float) -> None:
    """Where the reciprocals of the formula diverge there is neither a NaN nor a step."""
    near = [end - 1e-2, end - 1e-3, end - 1e-9, end, end + 1e-9, end + 1e-3, end + 1e-2]
    distances = torch.tensor(near, dtype=torch.float64, requires_grad=True)
    derivative = smooth_switch(distances, 1.0, 2.0)
    for _ in range(4):
        (derivative,) = torch.autograd.grad(derivative.sum(), distances, create_graph=True)
        assert derivative.abs().max() < 1e-25


def test_two_derivatives() -> None:
    distances = torch.linspace(1.05, 1.95, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: smooth_switch(d, 1.0, 2.0), distances)
    assert torch.autograd.gradgradcheck(lambda d: smooth_switch(d, 1.0, 2.0), distances)
