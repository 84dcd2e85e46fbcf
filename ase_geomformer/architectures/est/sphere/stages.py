"""What surrounds the attention between directions: norms, queries, keys, values, and experts.

An expert is a network that acts on the value at every direction. All experts of a branch share
queries, keys and values; as their last layer is linear, their weighted sum is one product with
the weighted hidden layers side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ase_geomformer.architectures.est.sphere.linear import FunctionLinear, uniform_linear
from ase_geomformer.architectures.est.sphere.norm import InvariantNorm, root_mean_square
from ase_geomformer.architectures.est.sphere.transform import SphericalFourier

INITIAL_SHARPNESS = 1.0 / 3.0


class TokenStages(nn.Module):
    """Networks as published: LayerNorms at every direction, SiLU experts.

    The roots of the LayerNorms and the SiLU have no band limit, so that quadrature is not exact.

    Parameters
    ----------
    transform : SphericalFourier
    lmax, channels, heads, experts, hidden : int
    gain : float
        Scale of the last layer at the start of training.
    """

    def __init__(
        self,
        transform: SphericalFourier,
        lmax: int,
        channels: int,
        *,
        heads: int,
        experts: int,
        hidden: int,
        gain: float,
    ) -> None:
        super().__init__()
        self.transform, self.heads = transform, heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = uniform_linear(channels, 3 * channels)
        # An affine part would be absorbed by the linear layers of the experts.
        self.expert_norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.expand = uniform_linear(channels, experts * hidden)
        self.contract = uniform_linear(experts * hidden, channels, bias=False, gain=gain)
        self.offset = nn.Parameter(torch.zeros(experts, 1, channels))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients (N, (L+1)^2, C) to queries, keys and values (N, S, H, C / H)."""
        qkv = self.qkv(self.norm(self.transform.values(x)))
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        return q, k, v

    def update(self, attended: Tensor, scalars: Tensor, gates: Tensor) -> Tensor:
        """Values (N, S, C) after attention to the experts' coefficients (N, (L+1)^2, C)."""
        hidden = functional.silu(self.expand(self.expert_norm(attended)))
        weighted = self.transform.coefficients(hidden) * _spread(gates, hidden.shape[-1])
        constant = self.transform.from_points.sum(dim=1)[:, None]
        return self.contract(weighted) + constant * (gates @ self.offset.squeeze(1))[:, None]


class BandLimitedStages(nn.Module):
    """Invariant norms of coefficients, so that queries, keys and values stay of degree L.

    What attention gives is projected on degrees up to L before it enters the experts. They are
    products of two functions (variant C, exact at degree 3 L), or one under a SiLU (variant B),
    times sigmoids of invariants. Linear layers act on the coefficients, which are fewer than the
    points. Queries and keys have unit mean square, so that logits stay within what the kernel
    expands well; their sharpness is learnt.

    Parameters
    ----------
    transform : SphericalFourier
    lmax, channels, heads, experts, hidden : int
    gain : float
        Scale of the last layer at the start of training.
    bilinear : bool
        Experts that multiply two functions rather than applying a SiLU.
    """

    def __init__(
        self,
        transform: SphericalFourier,
        lmax: int,
        channels: int,
        *,
        heads: int,
        experts: int,
        hidden: int,
        gain: float,
        bilinear: bool,
    ) -> None:
        super().__init__()
        self.transform, self.heads, self.bilinear = transform, heads, bilinear
        self.norm = InvariantNorm(lmax, channels)
        self.qkv = FunctionLinear(lmax, channels, 3 * channels)
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), INITIAL_SHARPNESS))
        self.expert_norm = InvariantNorm(lmax, channels)
        self.hidden = hidden
        width = experts * hidden
        self.expand = FunctionLinear(lmax, channels, 2 * width if bilinear else width)
        self.gate = uniform_linear(channels, width)
        self.contract = uniform_linear(width, channels, bias=False, gain=gain)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients (N, (L+1)^2, C) to queries, keys and values (N, S, H, C / H)."""
        qkv = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.unbind(dim=2)
        q = q / root_mean_square(q) * self.sharpness.squeeze(-1)
        k = k / root_mean_square(k)
        together = torch.stack([q, k, v], dim=2)
        values = self.transform.values(together.flatten(2)).unflatten(-1, together.shape[2:])
        q, k, v = values.unbind(dim=2)
        return q, k, v

    def update(self, attended: Tensor, scalars: Tensor, gates: Tensor) -> Tensor:
        """Values (N, S, C) after attention to the experts' coefficients (N, (L+1)^2, C)."""
        limited = self.expert_norm(self.transform.coefficients(attended))
        hidden = self.transform.values(self.expand(limited))
        if self.bilinear:
            first, second = hidden.chunk(2, dim=-1)
            hidden = first * second
        else:
            hidden = functional.silu(hidden)
        factors = torch.sigmoid(self.gate(scalars))[:, None] * _spread(gates, hidden.shape[-1])
        return self.contract(self.transform.coefficients(hidden) * factors)


def _spread(gates: Tensor, width: int) -> Tensor:
    """Weights (N, K) of K experts, each repeated for its hidden channels: (N, 1, width)."""
    experts = gates.shape[-1]
    return gates[:, :, None].expand(-1, -1, width // experts).flatten(1)[:, None]
