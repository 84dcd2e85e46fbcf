from __future__ import annotations

import pytest
import torch

from ase_geomformer.layers.activation import ACTIVATIONS

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_smooth(name: str) -> None:
    """Forces and their slopes pass through every activation: no kink, at zero least of all."""
    inputs = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ACTIVATIONS[name], inputs)
    assert torch.autograd.gradgradcheck(ACTIVATIONS[name], inputs)
