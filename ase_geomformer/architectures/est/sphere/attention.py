"""Attention between the directions around an atom: the spherical branch of EST.

An, Lu, Qu et al. (arXiv 2505.23086). The features of an atom are C functions on the sphere; their
values at S directions are a sequence of S tokens, which attend to each other, pass through a
network, and are transformed back. It is equivariant where the sums over directions equal the
integrals that they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ase_geomformer.architectures.est.sphere.kernels import (
    capped_softmax_weights,
    polynomial_weights,
    softmax_weights,
)
from ase_geomformer.architectures.est.sphere.linear import uniform_linear
from ase_geomformer.architectures.est.sphere.points import point_set
from ase_geomformer.architectures.est.sphere.quadrature import SPHERE_AREA, PointSet
from ase_geomformer.architectures.est.sphere.stages import BandLimitedStages, TokenStages
from ase_geomformer.architectures.est.sphere.transform import SphericalFourier
from ase_geomformer.architectures.est.sphere.written import LARGEST_TABLE, FrozenSphere

SMALL = 0.1  # of what the branch adds at the start: training begins near the plain backbone


@dataclass(frozen=True)
class Kernel:
    """One form of the spherical branch.

    Attributes
    ----------
    weights
        Logits (N, H, S, S) and quadrature weights (S,) to weights of the sum over directions.
    stages
        Module of the norms and networks around the attention.
    rule
        Point set that it uses unless told otherwise.
    degrees
        Degree of that point set in multiples of lmax.
    exact
        Equivariant to rounding with that degree or a higher one.
    published
        The released code to the letter: its transform, a fixed weight of the orientation, and
        no l = 0 part of the spherical result.
    """

    weights: Callable[[Tensor, Tensor], Tensor]
    stages: Callable[..., TokenStages | BandLimitedStages]
    rule: str
    degrees: int
    exact: bool = False
    published: bool = False


KERNELS = {
    "polynomial": Kernel(
        polynomial_weights,
        partial(BandLimitedStages, bilinear=True),
        rule="lebedev",
        degrees=3,
        exact=True,
    ),
    "softmax": Kernel(softmax_weights, TokenStages, rule="lebedev", degrees=6),
    "smooth": Kernel(
        capped_softmax_weights,
        partial(BandLimitedStages, bilinear=False),
        rule="lebedev",
        degrees=5,
    ),
    "published": Kernel(
        softmax_weights, TokenStages, rule="fibonacci_poles", degrees=2, published=True
    ),
}


class DirectionAttention(nn.Module):
    """Attention between the points of a sphere, which see each other's angle.

    The logits are q.k / sqrt(D + 3) plus the cosine of the angle times a gain.

    Parameters
    ----------
    points : PointSet
    weights : callable
        Of a :class:`Kernel`.
    heads, head_width : int
    published : bool
        The gain is 1 / sqrt(D + 3) for good, not learnt per head from 1 on.
    """

    cosines: Tensor
    quadrature: Tensor
    gain: Tensor

    def __init__(
        self,
        points: PointSet,
        weights: Callable[[Tensor, Tensor], Tensor],
        heads: int,
        head_width: int,
        *,
        published: bool = False,
    ) -> None:
        super().__init__()
        directions = torch.tensor(points.points)
        self.register_buffer("cosines", directions @ directions.T, persistent=False)
        self.register_buffer("quadrature", torch.tensor(points.weights), persistent=False)
        self.weights = weights
        self.scale = 1.0 / math.sqrt(head_width + 3)
        if published:
            fixed = torch.full((heads, 1, 1), self.scale, dtype=torch.float64)
            self.register_buffer("gain", fixed, persistent=False)
        else:
            self.gain = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (N, S, H, D) to values (N, S, H D)."""
        products = torch.einsum("nshd,nthd->nhst", q * self.scale, k)
        weights = self.weights(products + self.gain * self.cosines, self.quadrature)
        return torch.einsum("nhst,nthd->nshd", weights, v).flatten(2)


class SphericalBranch(nn.Module):
    """The spherical experts of an EST block.

    Parameters
    ----------
    lmax, channels : int
        Highest degree L and number C of channels of the features.
    kernel : str
        ``polynomial`` is equivariant to rounding. ``smooth`` and ``softmax`` come the closer the
        higher the degree of their points; ``softmax`` has the networks of the paper.
        ``published`` is the released block with its lattice, for comparison: its error is of
        the order of 10 %.
    rule : str, optional
        Point set, see :func:`~ase_geomformer.architectures.est.sphere.points.point_set`; that of
        the kernel when left out.
    degree : int, optional
        Degree of the point set; that of the kernel when left out. No parameter depends on rule or
        degree, so that they may be changed after training.
    heads : int
        Attention heads that share the channels.
    experts : int
        Number of networks after the attention, which the gates weight.
    hidden : int, optional
        Hidden width of each of them; twice the channels when left out.
    """

    def __init__(
        self,
        lmax: int,
        channels: int,
        *,
        kernel: str = "polynomial",
        rule: str | None = None,
        degree: int | None = None,
        heads: int = 1,
        experts: int = 1,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if kernel not in KERNELS:
            raise ValueError(f"unknown kernel {kernel!r} on the sphere: use {list(KERNELS)}")
        if channels % heads:
            raise ValueError(f"channels={channels} must be divisible by heads={heads}")
        form = KERNELS[kernel]
        lowest_exact = form.degrees * max(lmax, 1)
        self.points = point_set(rule or form.rule, lowest_exact if degree is None else degree)
        self.exact = form.exact and self.points.degree >= lowest_exact
        self.published = form.published
        gain = 1.0 if form.published else SMALL
        self.stages = form.stages(
            SphericalFourier(lmax, self.points, published=form.published),
            lmax,
            channels,
            heads=heads,
            experts=experts,
            hidden=hidden or 2 * channels,
            gain=gain,
        )
        self.attention = DirectionAttention(
            self.points, form.weights, heads, channels // heads, published=form.published
        )
        self.scalar_norm = nn.LayerNorm(channels)
        self.scalar = uniform_linear(channels, channels, gain=gain)

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        """Features (N, (L+1)^2, C) and weights (N, experts) to what to add to the features."""
        scalars = self.scalar_norm(x[:, 0])
        attended = self.attention(*self.stages.project(x))
        update = self.stages.update(attended, scalars, gates)
        constants = functional.silu(self.scalar(scalars))
        if not self.published:
            constants = constants + update[:, 0]
        return torch.cat([constants[:, None], update[:, 1:]], dim=1)

    @property
    def can_freeze(self) -> bool:
        """Whether :meth:`frozen` is there: for one expert of the polynomial kernel."""
        stages = self.stages
        points, components = stages.transform.to_points.shape
        return (
            isinstance(stages, BandLimitedStages)
            and stages.bilinear
            and self.attention.weights is polynomial_weights
            and stages.contract.in_features == stages.gate.out_features == stages.hidden
            and (points * components) ** 2 <= LARGEST_TABLE
        )

    def frozen(self) -> FrozenSphere:
        """Its attention and expert with their gradient written out."""
        stages, attention = self.stages, self.attention
        assert isinstance(stages, BandLimitedStages)
        dtype = stages.qkv.weight.dtype
        to_points, from_points = (
            table.double() for table in (stages.transform.to_points, stages.transform.from_points)
        )
        weights, (points, components) = attention.quadrature.double(), to_points.shape
        angles = attention.gain.new_zeros(len(attention.gain), components, components)
        angles[:, 0, 0] = SPHERE_AREA  # one, at all pairs of points
        for component in range(1, min(components, 4)):
            angles[:, component, component] = SPHERE_AREA / 3.0 * attention.gain.flatten()
        to_logits = torch.einsum("sa,tb->abst", to_points, to_points).reshape(-1, points**2)
        # Half of the kernel's squares: 1 + z + z^2 / 2 is ((1 + z)^2 + 1) / 2.
        halves = 0.5 * torch.einsum("as,t,tb->stab", from_points, weights, to_points)
        means = 0.5 / SPHERE_AREA * torch.outer(weights, weights)
        to_attention = torch.cat([halves.reshape(points**2, -1), means.reshape(-1, 1)], dim=1)
        return FrozenSphere(
            norm=stages.norm.frozen(),
            expert_norm=stages.expert_norm.frozen(),
            qkv=stages.qkv.weight.T.contiguous(),
            qkv_bias=stages.qkv.constant[0] * stages.qkv.bias,
            heads=stages.heads,
            sharpness=stages.sharpness.flatten() * attention.scale,
            angles=angles,
            to_logits=to_logits.to(dtype),
            to_attention=to_attention.to(dtype),
            constant=to_attention.sum(dim=0).to(dtype),
            expand=stages.expand.weight.T.contiguous(),
            expand_bias=stages.expand.constant[0] * stages.expand.bias,
            to_points=stages.transform.to_points,
            from_points=stages.transform.from_points,
            contract=stages.contract.weight.T.contiguous(),
        )
