"""Messages of steerable features without tensor products: filters of distance and direction.

Of everything a tensor product of a neighbour's features with the harmonics of the edge could give,
three parts are kept, which cost no more than products of numbers: scalars times harmonics, as in
SchNet and So3krates; features passed on degree by degree, as PaiNN passes vectors (Schütt, Unke,
Gastegger, ICML 2021); and the features' components along the edge, which are the m = 0 part of the
SO(2) convolutions of eSCN (Passaro and Zitnick, ICML 2023). All are filtered by networks of the
distance and weighed by an invariant gate of receiver and sender.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.degree_linear import DegreeLinear, SteerableNorm, by_degree
from ase_geomformer.architectures.est.packing import filter_weights
from ase_geomformer.architectures.est.written_filters import FilterWeights, WrittenFilters
from ase_geomformer.architectures.est.written_sums import WrittenDensity
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.edges import Edges, slots_of
from ase_geomformer.layers.frozen import FrozenModule
from ase_geomformer.layers.heads import head_spread, head_sum
from ase_geomformer.layers.radial import RadialFunction
from ase_geomformer.layers.spline import SplinePoint


class RadialNetwork(RadialFunction):
    """Filters of the distance: one hidden layer on the radial basis."""

    def __init__(self, num_radial_basis: int, hidden_width: int, width: int) -> None:
        super().__init__()
        self.hidden = dense(num_radial_basis, hidden_width)
        self.final = dense(hidden_width, width)

    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to filters (E, width)."""
        filters: Tensor = self.final(nn.functional.silu(self.hidden(radial)))
        return filters

    def forward(self, radial: Tensor | SplinePoint) -> Tensor:
        """What the edges hold of their distances to filters (E, width)."""
        return self.radial_values(radial)

    def written_input(self, radial: Tensor | SplinePoint) -> tuple[SplinePoint | None, Tensor]:
        """What a written gradient is given: the point and its distances (E,), or filters."""
        if isinstance(radial, SplinePoint):
            return radial, radial.distances
        return None, self.of_radial(radial)


class NeighbourDensity(nn.Module):
    """First steerable features: harmonics of the neighbours, filtered by distance and elements.

    Parameters
    ----------
    lmax, channels : int
    num_radial_basis, radial_width : int
        Width of the radial basis; hidden width of the filters.
    norm : float
        What sums over neighbours are divided by.
    """

    def __init__(
        self, lmax: int, channels: int, num_radial_basis: int, radial_width: int, norm: float
    ) -> None:
        super().__init__()
        self.lmax, self.norm = lmax, norm
        self.filters = RadialNetwork(num_radial_basis, radial_width, (lmax + 1) * channels)
        self.sender = dense(channels, channels)
        self.receiver = dense(channels, channels)

    def forward(self, scalars: Tensor, edges: Edges) -> Tensor:
        """Element features (N, C) to steerable features (N, (L+1)^2, C)."""
        sent, own = self.sender(scalars), (1.0 + self.receiver(scalars)) / self.norm
        is_trained = sent.requires_grad or own.requires_grad
        slots = None if is_trained else slots_of(edges.receivers)
        if slots is None:
            return self._plain(sent, own, edges, self.filters(edges.radial))
        point, radial = self.filters.written_input(edges.radial)
        written = WrittenDensity(
            plain=partial(self._formula, sent=sent, own=own, edges=edges),
            slots=slots,
            point=point,
            table=self.filters.table,
            sender=edges.senders.gather(sent),
            receiver=own,
        )
        (density,) = written(edges.harmonics, edges.envelope, radial)
        return density

    def _formula(
        self,
        harmonics: Tensor,
        envelope: Tensor,
        radial: Tensor,
        *,
        sent: Tensor,
        own: Tensor,
        edges: Edges,
    ) -> Tensor:
        if isinstance(edges.radial, SplinePoint):
            radial = self.filters(replace(edges.radial, distances=radial))
        edges = replace(edges, harmonics=harmonics, envelope=envelope)
        return self._plain(sent, own, edges, radial)

    def _plain(self, sent: Tensor, own: Tensor, edges: Edges, radial: Tensor) -> Tensor:
        pair = edges.senders.gather(sent) * edges.envelope[:, None]
        filters = radial.unflatten(-1, (self.lmax + 1, 1, -1)).unbind(1)
        harmonics = by_degree(edges.harmonics[:, :, None])
        blocks = [f * pair[:, None] * y for f, y in zip(filters, harmonics, strict=True)]
        return edges.receivers.sum(torch.cat(blocks, dim=1)) * own[:, None]


class FilterMessages(FrozenModule[FilterWeights]):
    """Update of steerable features by what their neighbours send; see the module.

    Parameters
    ----------
    lmax, channels : int
    heads : int
        Independent gates of receiver and sender, each for a block of channels; 0 for none.
    num_radial_basis, radial_width : int
        Width of the radial basis; hidden width of the filters.
    norm : float
        What sums over neighbours are divided by.
    """

    def __init__(
        self,
        lmax: int,
        channels: int,
        heads: int,
        *,
        num_radial_basis: int,
        radial_width: int,
        norm: float,
    ) -> None:
        super().__init__()
        self.lmax, self.channels, self.heads, self.norm = lmax, channels, heads, norm
        # Filters of harmonics (L+1), of features passed on (L), of components along the edge (L).
        num_filters = 3 * lmax + 1 + (heads > 0)
        self.filters = RadialNetwork(num_radial_basis, radial_width, num_filters * channels)
        self.value = dense(channels, (lmax + 1) * channels)
        if heads:
            self.query, self.key = dense(channels, channels), dense(channels, channels)
        self.out = DegreeLinear(lmax, channels, channels)

    def added(self, features: Tensor, norm: SteerableNorm, edges: Edges) -> Tensor:
        """Features (N, (L+1)^2, C) with their update, which reads them normalised."""
        if not self.is_frozen or not all(map(slots_of, (edges.receivers, edges.senders))):
            return features + self(norm(features), edges)
        point, radial = self.filters.written_input(edges.radial)
        written = WrittenFilters(
            plain=partial(self._plain, norm=norm, edges=edges),
            receivers=edges.receivers,
            senders=edges.senders,
            point=point,
            table=self.filters.table,
            packed=self.packed(norm),
        )
        (added,) = written(features, edges.harmonics, edges.envelope, radial)
        return added

    def _plain(
        self,
        features: Tensor,
        harmonics: Tensor,
        envelope: Tensor,
        radial: Tensor,
        *,
        norm: SteerableNorm,
        edges: Edges,
    ) -> Tensor:
        if isinstance(edges.radial, SplinePoint):
            radial = self.filters(replace(edges.radial, distances=radial))
        edges = replace(edges, harmonics=harmonics, envelope=envelope)
        return features + self._update(norm(features), edges, radial)

    @property
    def first_weight(self) -> Tensor:
        return self.value.weight

    def pack(self, *others: nn.Module) -> FilterWeights:
        return filter_weights(self, *others)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        """Features (N, (L+1)^2, C) to their update, of the same shape.

        ``edges.harmonics`` hold degrees 0 .. L.
        """
        return self._update(features, edges, self.filters(edges.radial))

    def _update(self, features: Tensor, edges: Edges, radial: Tensor) -> Tensor:
        scalars, degrees = features[:, 0], self.lmax + 1
        filters = radial.unflatten(-1, (-1, 1, self.channels)).unbind(1)
        of_harmonics, passed = filters[:degrees], filters[degrees : degrees + self.lmax]
        along = filters[degrees + self.lmax : degrees + 2 * self.lmax]
        sent = by_degree(edges.senders.gather(features))
        harmonics = by_degree(edges.harmonics[:, :, None])
        values = edges.senders.gather(self.value(scalars)).unflatten(-1, (degrees, 1, -1))
        # Components along the edge join the scalars that multiply the harmonics.
        joined = features.new_zeros(())
        for l in range(1, degrees):
            component = (sent[l] * harmonics[l]).mean(dim=1, keepdim=True)
            joined = joined + along[l - 1] * component
        weight = edges.envelope[:, None] / self.norm
        weight = self.gate(scalars, filters[-1], weight, edges) if self.heads else weight
        message = []
        for l, value in enumerate(values.unbind(1)):
            block = of_harmonics[l] * (value + joined) * harmonics[l]
            if l:
                block = block + passed[l - 1] * sent[l]
            message.append(block * weight[:, None])
        return self.out(edges.receivers.sum(torch.cat(message, dim=1)))

    def gate(self, scalars: Tensor, filters: Tensor, weight: Tensor, edges: Edges) -> Tensor:
        """The weight (E, 1) by channel (E, C), times 2 sigmoid(q_i . (f k_j)) of its head."""
        query = edges.receivers.gather(self.query(scalars))
        key = edges.senders.gather(self.key(scalars))
        scale = math.sqrt(self.heads / self.channels)
        logits = scale * head_sum(query * filters.squeeze(1) * key, self.heads)
        return head_spread(2.0 * weight * torch.sigmoid(logits), self.channels)
