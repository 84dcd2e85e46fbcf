"""Weights of a mixture of experts from what rotations leave unchanged."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ase_geomformer.architectures.est.sphere.linear import uniform_linear


class InvariantGate(nn.Module):
    """Softmax weights of experts, made of the l = 0 features alone; arXiv 2505.23086.

    The weights are those of a dense mixture: every expert acts on every atom. The SiLU before the
    softmax keeps logits above -0.28, so that no expert is switched off for good.

    Parameters
    ----------
    channels : int
    experts : int
        Number of weights.
    """

    def __init__(self, channels: int, experts: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.hidden = uniform_linear(channels, channels)
        self.logits = uniform_linear(channels, experts)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, (L+1)^2, C) to weights (N, experts) that sum to one."""
        hidden = functional.silu(self.hidden(self.norm(x[:, 0])))
        return torch.softmax(functional.silu(self.logits(hidden)), dim=-1)
