"""Euclidean attention, the heart of So3krates, and the layers around it.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276). Atoms carry invariant features x (N, F) and
Euclidean variables ev (N, M), M = sum of 2l+1; both are updated by attention over neighbours
whose coefficients are filtered by the distance and by how the neighbours' ev differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from operator import add

import torch
from torch import Tensor, nn

from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.dense import HeadLinear, dense
from ase_geomformer.layers.edge_attention import (
    FEW_EDGES,
    FEW_PAIRED,
    EdgeAttention,
    PackedWeights,
)
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.harmonics import DegreeSum
from ase_geomformer.layers.heads import head_sum
from ase_geomformer.layers.radial import RadialFunction
from ase_geomformer.layers.spline import SplinePoint
from ase_geomformer.layers.written_gradient import is_by_formula


class FilterNetwork(nn.Module):
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

    def forward(self, radial: Tensor, invariants: Tensor) -> Tensor:
        """The filter (E, F), from its radial part (E, F) and the invariants (E, degrees)."""
        if self.spherical_1 is None or self.spherical_2 is None:
            return radial
        return radial + self.spherical_2(self.activation(self.spherical_1(invariants)))


class Attention(RadialFunction):
    """Updates of x and ev by attention over neighbours, without softmax.

    Parameters
    ----------
    num_features : int
        Width F of x, which ``num_heads`` heads share for x, and one head per degree for ev.
    num_heads : int
    degree_sum : DegreeSum
        Degrees of ev, and the invariants made of them.
    feature_filter, geometry_filter : FilterNetwork
        Alike but for their weights.
    feature_norm, geometry_norm : float
        What the coefficients of x and of ev are divided by.
    qk_activation : str
        Activation of queries and keys.
    bias : bool
        Whether queries, keys and values have biases.
    """

    norms: Tensor

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
        self._packed: PackedWeights | None = None
        norms = [1.0 / feature_norm] * num_heads + [1.0 / geometry_norm] * self.num_degrees
        self.register_buffer("norms", torch.tensor(norms, dtype=torch.float64), persistent=False)

    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to the radial parts (E, 2 F) of both filters."""
        filters = self.feature_filter, self.geometry_filter
        return torch.cat([own.of_radial(radial) for own in filters], dim=1)

    def forward(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        if not self._is_written_for(edges):
            return self._formula(x, ev, edges)
        point, radial = None, edges.radial
        if isinstance(radial, SplinePoint):
            point, radial = radial, radial.distances
        else:
            radial = self.of_radial(radial)
        joined = edges.joined
        along = EdgeAttention(
            plain=partial(self._of_inputs, edges),
            receivers=joined.receivers,
            senders=joined.senders,
            point=point,
            table=self.table,
            packed=self._packed_weights(),
            activation=self.qk_activation,
            filter_activation=self.feature_filter.activation,
            degree_sum=self.degree_sum,
            heads=(self.num_heads, self.num_degrees),
            norms=self.norms,
        )
        dx, dev = along(x, ev, edges.envelope, joined.harmonics, radial)
        return dx, dev

    def _is_written_for(self, edges: Edges) -> bool:
        """Whether the written gradient is used along these edges."""
        frozen = not self.feature_query.weight.requires_grad and not is_by_formula()
        divided = edges.receivers.is_divided or edges.senders.is_divided
        few = FEW_EDGES if edges.parity is None else FEW_PAIRED
        return frozen and 0 < edges.number <= few and not divided

    def _packed_weights(self) -> PackedWeights:
        if self._packed is None or not self._packed.is_current(self.feature_query.weight):
            filters = self.feature_filter, self.geometry_filter
            self._packed = PackedWeights(
                asked=[self.feature_query, self.geometry_query],
                keys=[self.feature_key, self.geometry_key],
                values=[self.feature_value],
                first=[own.spherical_1 for own in filters if own.spherical_1 is not None],
                second=[own.spherical_2 for own in filters if own.spherical_2 is not None],
            )
        return self._packed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Attention:
        self._packed = None  # Another device or dtype.
        super()._apply(fn, recurse)
        return self

    def _of_inputs(
        self,
        edges: Edges,
        x: Tensor,
        ev: Tensor,
        envelope: Tensor,
        harmonics: Tensor,
        radial: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The formula as a function of all that depends on the geometry."""
        rows = envelope.shape[0]
        own = replace(edges, envelope=envelope, harmonics=harmonics[:rows])
        if not isinstance(edges.radial, SplinePoint):
            return self._along(x, ev, own, radial)
        return self._formula(x, ev, replace(own, radial=replace(edges.radial, distances=radial)))

    def _formula(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        return self._along(x, ev, edges, self.radial_values(edges.radial))

    def _along(self, x: Tensor, ev: Tensor, edges: Edges, radial: Tensor) -> tuple[Tensor, Tensor]:
        """The updates, from what the filters make of the distances (R, 2 F)."""
        radial_x, radial_ev = radial.chunk(2, dim=1)
        act = self.qk_activation
        query_x, key_x = act(self.feature_query(x)), act(self.feature_key(x))
        query_ev, key_ev = act(self.geometry_query(x)), act(self.geometry_key(x))
        value = self.feature_value(x)
        # Each is gathered on its own: joined, their gradients would be copied once more.
        difference = edges.senders.gather(ev) - edges.receivers.gather(ev)
        invariants = self.degree_sum.invariants(difference)  # of both directions
        filter_x = self.feature_filter(radial_x, invariants)
        filter_ev = self.geometry_filter(radial_ev, invariants)
        scale_x, scale_ev = (edges.envelope[:, None] * self.norms).split(
            [self.num_heads, self.num_degrees], dim=1
        )
        parts = []
        for receivers, senders, harmonics in edges.ways:
            products = receivers.gather(query_x) * filter_x * senders.gather(key_x)
            alpha = head_sum(products, self.num_heads) * scale_x
            sent = senders.gather(value).unflatten(-1, (self.num_heads, -1))
            dx = receivers.sum((sent * alpha[..., None]).flatten(-2))
            products = receivers.gather(query_ev) * filter_ev * senders.gather(key_ev)
            alpha = head_sum(products, self.num_degrees) * scale_ev
            parts.append((dx, receivers.sum(self.degree_sum.spread(alpha) * harmonics)))
        dx, dev = (reduce(add, updates) for updates in zip(*parts, strict=True))
        return dx, dev

    def geometry_update(self, x: Tensor, ev: Tensor, edges: Edges) -> Tensor:
        """The update (N, M) of ev alone, for edges along which x is not exchanged."""
        receivers, senders = edges.receivers, edges.senders
        invariants = self.degree_sum.invariants(senders.gather(ev) - receivers.gather(ev))
        act = self.qk_activation
        query, key = act(self.geometry_query(x)), act(self.geometry_key(x))
        if isinstance(edges.radial, SplinePoint):
            radial = self.radial_values(edges.radial).chunk(2, dim=1)[1]
        else:
            radial = self.geometry_filter.of_radial(edges.radial)
        products = (
            receivers.gather(query) * self.geometry_filter(radial, invariants) * senders.gather(key)
        )
        scale = edges.envelope[:, None] * self.norms[self.num_heads :]
        alpha = head_sum(products, self.num_degrees) * scale
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
