"""Euclidean attention, the heart of So3krates, and the layers around it.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276). Atoms carry invariant features x (N, F) and
Euclidean variables ev (N, M), M = sum of 2l+1; both are updated by attention over neighbours
whose coefficients are filtered by the distance and by how the neighbours' ev differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.dense import HeadLinear, dense
from ase_geomformer.layers.harmonics import (
    DegreeSum,
    SphericalHarmonics,
    distances_and_directions,
)
from ase_geomformer.layers.heads import head_sum
from ase_geomformer.layers.radial import RadialFunction
from ase_geomformer.layers.spline import SplinePoint


@dataclass(frozen=True)
class Edges:
    """What all layers read of the edges: their ends, basis (E, K), cutoff (E,), Y (E, M).

    Instead of the basis there are places on a grid where the filters are tabulated.
    """

    receivers: Segments
    senders: Segments
    radial: Tensor | SplinePoint
    envelope: Tensor
    harmonics: Tensor

    @classmethod
    def of(
        cls,
        graph: AtomGraph,
        radial_basis: nn.Module,
        envelope: Callable[[Tensor, float], Tensor],
        harmonics: SphericalHarmonics,
        cutoff: float,
    ) -> Edges:
        """The edges of a graph, expanded in a radial basis and in spherical harmonics."""
        ends = graph.receivers, graph.senders
        return cls.expand(ends, graph.edge_vectors, radial_basis, envelope, harmonics, cutoff)

    @classmethod
    def expand(
        cls,
        ends: tuple[Segments, Segments],
        vectors: Tensor,
        radial_basis: nn.Module,
        envelope: Callable[[Tensor, float], Tensor],
        harmonics: SphericalHarmonics,
        cutoff: float,
    ) -> Edges:
        """Edges by their receivers and senders and their vectors (E, 3)."""
        receivers, senders = ends
        distances, directions = distances_and_directions(vectors)
        return cls(
            receivers=receivers,
            senders=senders,
            radial=radial_basis(distances),
            envelope=envelope(distances, cutoff),
            harmonics=harmonics(directions),
        )


class FilterNetwork(RadialFunction):
    """Attention filter (E, F): one network of the radial basis plus one of the ev differences.

    Parameters
    ----------
    num_features, num_radial_basis, num_degrees : int
        Width F of the filter; widths of its two inputs.
    radial_width, spherical_width : int, optional
        Hidden widths of the two networks; F and F / 4 when left out.
    spherical : bool
        Whether to filter by the ev differences at all.
    activation : str
    """

    def __init__(
        self,
        num_features: int,
        num_radial_basis: int,
        num_degrees: int,
        *,
        radial_width: int | None = None,
        spherical_width: int | None = None,
        spherical: bool = True,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        wide = radial_width or num_features
        narrow = spherical_width or num_features // 4
        self.activation = ACTIVATIONS[activation]
        self.radial_1 = dense(num_radial_basis, wide)
        self.radial_2 = dense(wide, num_features)
        self.spherical_1 = dense(num_degrees, narrow) if spherical else None
        self.spherical_2 = dense(narrow, num_features) if spherical else None

    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to what the distance contributes to the filter (E, F)."""
        values: Tensor = self.radial_2(self.activation(self.radial_1(radial)))
        return values

    def forward(self, radial: Tensor | SplinePoint, invariants: Tensor) -> Tensor:
        """Basis (E, K) and invariants of the ev differences (E, degrees) to (E, F)."""
        act = self.activation
        values = self.radial_values(radial)
        if self.spherical_1 is None or self.spherical_2 is None:
            return values
        return values + self.spherical_2(act(self.spherical_1(invariants)))


class Attention(nn.Module):
    """Updates of x and ev by attention over neighbours, without softmax.

    Parameters
    ----------
    num_features : int
        Width F of x, which ``num_heads`` heads share for x, and one head per degree for ev.
    num_heads : int
    degree_sum : DegreeSum
        Degrees of ev, and the invariants made of them.
    feature_filter, geometry_filter : FilterNetwork
    feature_norm, geometry_norm : float
        What the coefficients of x and of ev are divided by.
    qk_activation : str
        Activation of queries and keys.
    bias : bool
        Whether queries, keys and values have biases.
    """

    def __init__(
        self,
        num_features: int,
        num_heads: int,
        degree_sum: DegreeSum,
        feature_filter: FilterNetwork,
        geometry_filter: FilterNetwork,
        *,
        feature_norm: float,
        geometry_norm: float,
        qk_activation: str = "identity",
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads, self.num_degrees = num_heads, degree_sum.num_degrees
        self.degree_sum = degree_sum
        self.qk_activation = ACTIVATIONS[qk_activation]
        self.feature_filter, self.geometry_filter = feature_filter, geometry_filter
        self.feature_query = HeadLinear(num_features, self.num_heads, bias=bias)
        self.feature_key = HeadLinear(num_features, self.num_heads, bias=bias)
        self.feature_value = HeadLinear(num_features, self.num_heads, bias=bias)
        self.geometry_query = HeadLinear(num_features, self.num_degrees, bias=bias)
        self.geometry_key = HeadLinear(num_features, self.num_degrees, bias=bias)
        self.feature_norm, self.geometry_norm = feature_norm, geometry_norm

    def forward(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        act, receivers, senders = self.qk_activation, edges.receivers, edges.senders
        # Each is gathered on its own: joined, their gradients would be copied once more.
        invariants = self.degree_sum.invariants(senders.gather(ev) - receivers.gather(ev))
        query_x, key_x = act(self.feature_query(x)), act(self.feature_key(x))
        alpha_x = head_sum(
            receivers.gather(query_x)
            * self.feature_filter(edges.radial, invariants)
            * senders.gather(key_x),
            self.num_heads,
        ) * (edges.envelope[:, None] / self.feature_norm)
        value = senders.gather(self.feature_value(x)).unflatten(-1, (self.num_heads, -1))
        message = (value * alpha_x[..., None]).flatten(-2)
        return receivers.sum(message), self._geometry_update(x, invariants, edges)

    def geometry_update(self, x: Tensor, ev: Tensor, edges: Edges) -> Tensor:
        """The update (N, M) of ev alone, for edges along which x is not exchanged."""
        difference = edges.senders.gather(ev) - edges.receivers.gather(ev)
        return self._geometry_update(x, self.degree_sum.invariants(difference), edges)

    def _geometry_update(self, x: Tensor, invariants: Tensor, edges: Edges) -> Tensor:
        act, receivers, senders = self.qk_activation, edges.receivers, edges.senders
        alpha = head_sum(
            receivers.gather(act(self.geometry_query(x)))
            * self.geometry_filter(edges.radial, invariants)
            * senders.gather(act(self.geometry_key(x))),
            self.num_degrees,
        ) * (edges.envelope[:, None] / self.geometry_norm)
        return receivers.sum(self.degree_sum.spread(alpha) * edges.harmonics)


class Exchange(nn.Module):
    """Exchange between x and the invariants of ev on each atom, through one linear map."""

    def __init__(self, num_features: int, degree_sum: DegreeSum) -> None:
        super().__init__()
        width = num_features + degree_sum.num_degrees
        self.degree_sum = degree_sum
        self.mix = dense(width, width)

    def forward(self, x: Tensor, ev: Tensor) -> tuple[Tensor, Tensor]:
        mixed = self.mix(torch.cat([x, self.degree_sum.invariants(ev)], dim=-1))
        width = x.shape[-1]
        return mixed[:, :width], self.degree_sum.spread(mixed[:, width:]) * ev
