from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.gate import InvariantGate


def test_weights_of_experts(features: Callable[[int, int], Tensor]) -> None:
    torch.manual_seed(0)
    gate, x = InvariantGate(8, 3).double(), features(2, 8)
    gates = gate(x)
    assert gates.shape == (4, 3)
    assert (gates > 0.0).all()
    torch.testing.assert_close(gates.sum(dim=1), torch.ones(4, dtype=torch.float64))
    changed = x.clone()
    changed[:, 1:] += 1.0
    assert torch.equal(gate(changed), gates), "only l = 0 may enter"
    changed[:, 0] = changed[:, 0].flip(-1)
    assert not torch.allclose(gate(changed), gates)


def test_no_expert_is_switched_off_for_good() -> None:
    """Logits end at the minimum of SiLU, -0.2785, however negative their input."""
    gate = InvariantGate(4, 2)
    with torch.no_grad():
        gate.logits.weight.zero_()
        gate.logits.bias.copy_(torch.tensor([-1.2785, -50.0]))
    weights = gate(torch.randn(1, 4, 4))
    expected = 1.0 / (1.0 + math.exp(0.2785))
    torch.testing.assert_close(weights[0, 0].item(), expected, rtol=0.0, atol=1e-4)
