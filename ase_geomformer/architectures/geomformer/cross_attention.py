"""Self- and cross-attention between an invariant and an equivariant stream.

Chen et al., GeoMFormer, ICML 2024 (arXiv 2406.16853). The streams are x (N, F) and e (N, M, F).
Each of four modules makes queries, keys and values: of one stream with itself, or of one stream
with what the other one tells it. Invariants come out of e as products over its components,
<e A, e B>; x enters e as a factor of its channels, (e A) * (x B).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from ase_geomformer.architectures.geomformer.equivariant import (
    EquivariantMaps,
    EquivariantNorm,
    StackedLinear,
    WhiteningNorm,
)


@dataclass(frozen=True)
class Streams:
    """Shapes of the two streams, and the layers that act on them.

    Attributes
    ----------
    num_features : int
        Width F of both.
    degrees : sequence of int
        Degrees of the components of e: 0 .. L, or 1 alone.
    degree_weights : bool
        Whether each degree has its own matrices.
    inner_norm : bool
        Whether to normalise what attention and gates give before the map that follows.
    whitening : bool
        Whether e, of degree 1 alone, is normalised by its covariance.
    """

    num_features: int
    degrees: Sequence[int]
    degree_weights: bool
    inner_norm: bool
    whitening: bool = False

    @property
    def can_freeze(self) -> bool:
        """Whether gradients are written out for such streams."""
        return self.degree_weights and self.inner_norm and not self.whitening

    @property
    def num_components(self) -> int:
        return sum(2 * l + 1 for l in self.degrees)

    def maps_x(self, num_maps: int, num_in: int = 0, num_out: int = 0) -> nn.Module:
        """Linear maps of x, from F to F features unless told otherwise."""
        return StackedLinear(num_in or self.num_features, num_out or self.num_features, num_maps)

    def maps_e(self, num_maps: int, num_in: int = 0, num_out: int = 0) -> nn.Module:
        """Linear maps of e, from F to F features unless told otherwise."""
        sizes = (num_in or self.num_features, num_out or self.num_features, num_maps)
        if self.degree_weights:
            return EquivariantMaps(*sizes, self.degrees)
        return StackedLinear(*sizes)

    def norm_e(self, num_features: int = 0) -> nn.Module:
        """The norm of e."""
        width = num_features or self.num_features
        return WhiteningNorm(width) if self.whitening else EquivariantNorm(width)

    def inner_norm_x(self, num_features: int = 0) -> nn.Module:
        width = num_features or self.num_features
        return nn.LayerNorm(width) if self.inner_norm else nn.Identity()

    def inner_norm_e(self, num_features: int = 0) -> nn.Module:
        return self.norm_e(num_features) if self.inner_norm else nn.Identity()


class Projection(NamedTuple):
    """Queries, keys and values (N, c, F) of one module, c = 1 where they are invariant."""

    query: Tensor
    key: Tensor
    value: Tensor


class AttentionModule(nn.Module, ABC):
    """Projections of one kind of attention, and the output map that follows it."""

    updates_e = False

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.norm = streams.inner_norm_e() if self.updates_e else streams.inner_norm_x()
        self.output = streams.maps_e(1) if self.updates_e else streams.maps_x(1)

    @abstractmethod
    def forward(self, x: Tensor, e: Tensor) -> Projection:
        """Queries, keys and values from normalised streams x (N, F) and e (N, M, F)."""

    def change(self, received: Tensor) -> Tensor:
        """What to add to the stream, from what attention gives; both (N, c, F)."""
        (change,) = self.output(self.norm(received))
        return change


class InvariantSelfAttention(AttentionModule):
    """x asks x."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self.maps = streams.maps_x(3)

    def forward(self, x: Tensor, e: Tensor) -> Projection:
        return Projection(*self.maps(x[:, None]))


class InvariantCrossAttention(AttentionModule):
    """x asks the products of e."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self.maps_x, self.maps_e = streams.maps_x(1), streams.maps_e(4)
        self.scale = streams.num_components**-0.5

    def forward(self, x: Tensor, e: Tensor) -> Projection:
        (query,) = self.maps_x(x[:, None])
        key_1, key_2, value_1, value_2 = self.maps_e(e)
        key = (key_1 * key_2).sum(dim=1, keepdim=True) * self.scale
        return Projection(query, key, (value_1 * value_2).sum(dim=1, keepdim=True) * self.scale)


class EquivariantSelfAttention(AttentionModule):
    """e asks e."""

    updates_e = True

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self.maps = streams.maps_e(3)

    def forward(self, x: Tensor, e: Tensor) -> Projection:
        return Projection(*self.maps(e))


class EquivariantCrossAttention(AttentionModule):
    """e asks e as x weighs its channels."""

    updates_e = True

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self.maps_e, self.maps_x = streams.maps_e(3), streams.maps_x(2)

    def forward(self, x: Tensor, e: Tensor) -> Projection:
        query, key, value = self.maps_e(e)
        key_factor, value_factor = self.maps_x(x[:, None])
        return Projection(query, key * key_factor, value * value_factor)


ATTENTION_MODULES: dict[str, type[AttentionModule]] = {
    "invariant_self": InvariantSelfAttention,
    "invariant_cross": InvariantCrossAttention,
    "equivariant_self": EquivariantSelfAttention,
    "equivariant_cross": EquivariantCrossAttention,
}
