"""Linear maps of features on the sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ase_geomformer.architectures.est.sphere.quadrature import SPHERE_AREA


def uniform_linear(num_in: int, num_out: int, *, bias: bool = True, gain: float = 1.0) -> nn.Linear:
    """A linear layer with weights uniform within gain / sqrt(num_in), as EST has, and zero bias.

    Its third of the variance of :func:`~ase_geomformer.layers.dense.dense` keeps the logits of
    attention small, which is what the accuracy of quadrature over directions depends on.
    """
    layer = nn.Linear(num_in, num_out, bias=bias)
    bound = gain / math.sqrt(num_in)
    nn.init.uniform_(layer.weight, -bound, bound)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class FunctionLinear(nn.Linear):
    """One linear map of the channels for all degrees, with a bias that is a constant function.

    Acts on coefficients (N, (L+1)^2, C) as a linear layer would on the values at every point,
    at the price of fewer rows.
    """

    constant: Tensor

    def __init__(self, lmax: int, num_in: int, num_out: int, *, gain: float = 1.0) -> None:
        super().__init__(num_in, num_out)
        bound = gain / math.sqrt(num_in)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)
        constant = torch.zeros((lmax + 1) ** 2, 1, dtype=torch.float64)
        constant[0] = math.sqrt(SPHERE_AREA)
        self.register_buffer("constant", constant, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Coefficients (N, (L+1)^2, C_in) to (N, (L+1)^2, C_out)."""
        return functional.linear(x, self.weight) + self.constant * self.bias
