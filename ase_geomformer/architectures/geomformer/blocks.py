"""Blocks of GeoMFormer: attention of both streams, then their feed-forward networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.geomformer.cross_attention import (
    ATTENTION_MODULES,
    AttentionModule,
    Streams,
)
from ase_geomformer.architectures.geomformer.image_collapse import attend_to_atoms
from ase_geomformer.architectures.geomformer.masked_softmax import DistanceFactor, Heads, attend
from ase_geomformer.architectures.geomformer.packing import (
    attention_weights,
    feed_forward_weights,
)
from ase_geomformer.architectures.geomformer.written_attention import (
    AttentionWeights,
    WrittenAttention,
    is_dense,
)
from ase_geomformer.architectures.geomformer.written_feed_forward import (
    FeedForwardWeights,
    WrittenFeedForward,
)
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.dense import LAYER_NORM_EPS, dense
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.frozen import FrozenModule, in_one_place
from ase_geomformer.layers.radial import RadialLinear

if TYPE_CHECKING:
    from ase_geomformer.architectures.geomformer.settings import GeoMFormerSettings


class EdgeMessages(nn.Module):
    """What distance and direction of an edge do to the values sent along it.

    Values are multiplied by a filter of the distance, one for each module and channel; the
    equivariant self-attention may also send Y_ij (x) (x_j A * B phi_ij) with the harmonics Y_ij,
    as in PaiNN (Schütt et al., ICML 2021).
    """

    def __init__(
        self,
        streams: Streams,
        heads: Heads,
        num_radial: int,
        directional: int | None,
        filtered: bool,
    ) -> None:
        super().__init__()
        self.heads, self.directional = heads, directional
        width, num_modules = streams.num_features, len(heads.components)
        self.filters = RadialLinear(num_radial, num_modules * width) if filtered else None
        if self.filters is not None:
            nn.init.ones_(self.filters.bias)
        self.direction_filter = self.direction_source = None
        if directional is not None:
            self.direction_filter = RadialLinear(num_radial, width)
            self.direction_source = streams.maps_x(1)

    def forward(
        self, weights: Tensor, values: Sequence[Tensor], x: Tensor, edges: Edges
    ) -> list[Tensor]:
        """Values (E, c, F) of the senders by module to messages; x (N, F) is normalised.

        The weights (E, modules * heads) meet what has one component before they meet the values.
        """
        spread = list(self.heads.spread(weights))
        factors = spread
        if self.filters is not None:
            filters = self.filters(edges.radial).split(self.heads.num_features, dim=-1)
            factors = [w * f[:, None] for w, f in zip(spread, filters, strict=True)]
        messages = [value * factor for value, factor in zip(values, factors, strict=True)]
        if self.direction_source is not None and self.direction_filter is not None:
            assert self.directional is not None
            (source,) = self.direction_source(x)
            sent = edges.senders.gather(source) * self.direction_filter(edges.radial)
            directed = edges.harmonics[:, :, None] * (sent[:, None] * spread[self.directional])
            messages[self.directional] = messages[self.directional] + directed
        return messages


class Attention(FrozenModule[AttentionWeights]):
    """Some of the four attention modules, side by side.

    Parameters
    ----------
    settings : GeoMFormerSettings
    streams : Streams
    names : sequence of str
        Of the modules, see ``ATTENTION_MODULES``.
    """

    def __init__(
        self, settings: GeoMFormerSettings, streams: Streams, names: Sequence[str]
    ) -> None:
        super().__init__()
        self.attention_modules = nn.ModuleDict(
            {name: ATTENTION_MODULES[name](streams) for name in names}
        )
        self.norm_x = nn.LayerNorm(settings.num_features, eps=LAYER_NORM_EPS)
        self.norm_e = streams.norm_e()
        components = [
            streams.num_components if module.updates_e else 1 for module in self._modules_in_order
        ]
        self.heads = Heads(components, settings.num_heads, settings.num_features)
        num_logits = len(names) * settings.num_heads
        num_radial = self.num_radial = settings.num_radial_basis
        self.bound, self.image_collapse = settings.logit_bound, settings.image_collapse
        self.edge_bias = None
        if settings.distance_bias:
            self.edge_bias = DistanceFactor(num_radial, num_logits, self.bound)
        self.self_bias = nn.Parameter(torch.zeros(num_logits))
        modules = tuple(ATTENTION_MODULES)
        self.can_freeze = (
            streams.can_freeze
            and set(names) in (set(modules), set(modules[:2]))
            and not settings.image_collapse
        )
        directional = None
        if settings.directional_messages and "equivariant_self" in names:
            directional = list(names).index("equivariant_self")
        self.messages = None
        if settings.edge_values or directional is not None:
            self.messages = EdgeMessages(
                streams, self.heads, num_radial, directional, settings.edge_values
            )

    @property
    def _modules_in_order(self) -> list[AttentionModule]:
        return [cast(AttentionModule, module) for module in self.attention_modules.values()]

    def forward(self, x: Tensor, e: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """Streams x (N, F) and e (N, M, F) with what attention adds to them."""
        radial = edges.radial
        if not (self.is_frozen and self.can_freeze and isinstance(radial, Tensor)):
            return self._plain(x, e, edges)
        if not in_one_place(edges.receivers, edges.senders) or not is_dense(edges.receivers):
            return self._plain(x, e, edges)
        written = WrittenAttention(
            plain=partial(self._formula, edges=edges),
            receivers=edges.receivers,
            senders=edges.senders,
            packed=self.packed(),
        )
        x, e = written(x, e, edges.envelope, edges.harmonics, radial)
        return x, e

    def _formula(
        self,
        x: Tensor,
        e: Tensor,
        envelope: Tensor,
        harmonics: Tensor,
        radial: Tensor,
        *,
        edges: Edges,
    ) -> tuple[Tensor, Tensor]:
        edges = replace(edges, envelope=envelope, harmonics=harmonics, radial=radial)
        return self._plain(x, e, edges)

    @property
    def first_weight(self) -> Tensor:
        return self.self_bias

    def pack(self, *others: nn.Module) -> AttentionWeights:
        return attention_weights(self)

    def _plain(self, x: Tensor, e: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        normal_x, normal_e = self.norm_x(x), self.norm_e(e)
        projections = [module(normal_x, normal_e) for module in self._modules_in_order]
        query, key, value = (
            torch.cat([part.flatten(1) for part in parts], dim=-1)
            for parts in zip(*projections, strict=True)
        )
        edge_factor = x.new_ones(1, self.self_bias.shape[0])
        if self.edge_bias is not None:
            edge_factor = self.edge_bias(edges.radial)
        messages = None
        if self.messages is not None:
            messages = partial(self.messages, x=normal_x, edges=edges)
        # With ghosts among the senders, pairs of local atoms are not all there are.
        collapse = self.image_collapse and edges.senders.number == edges.receivers.number
        way = attend_to_atoms if collapse else partial(attend, messages=messages)
        received = way(
            query,
            key,
            value,
            self.heads,
            edges,
            edge_factor=edge_factor,
            self_bias=self.self_bias,
            bound=self.bound,
        )
        for module, part in zip(self._modules_in_order, self.heads.split(received), strict=True):
            change = module.change(part.flatten(2))
            if module.updates_e:
                e = e + change
            else:
                x = x + change.squeeze(1)
        return x, e


class FeedForward(FrozenModule[FeedForwardWeights]):
    """B a(A x) and G (a(D x) * C e): networks of both streams, that of e gated by x."""

    def __init__(
        self, settings: GeoMFormerSettings, streams: Streams, *, equivariant: bool
    ) -> None:
        super().__init__()
        width = settings.ffn_width or settings.num_features
        self.equivariant = equivariant
        self.can_freeze = streams.can_freeze
        self.activation = ACTIVATIONS[settings.activation]
        self.norm_x = nn.LayerNorm(settings.num_features, eps=LAYER_NORM_EPS)
        self.hidden = streams.maps_x(2 if equivariant else 1, num_out=width)
        self.inner_norm_x = streams.inner_norm_x(width)
        self.final_x = dense(width, settings.num_features)
        if equivariant:
            self.norm_e = streams.norm_e()
            self.lift_e = streams.maps_e(1, num_out=width)
            self.inner_norm_e = streams.inner_norm_e(width)
            self.final_e = streams.maps_e(1, num_in=width)

    def forward(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """Streams x (N, F) and e (N, M, F) with what the networks add to them."""
        if not (self.is_frozen and self.can_freeze and len(x)):
            return self._plain(x, e)
        x, e = WrittenFeedForward(self._plain, self.packed(), self.activation)(x, e)
        return x, e

    @property
    def first_weight(self) -> Tensor:
        return self.norm_x.weight

    def pack(self, *others: nn.Module) -> FeedForwardWeights:
        return feed_forward_weights(self)

    def _plain(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        hidden, *gate = (self.activation(part) for part in self.hidden(self.norm_x(x)))
        x = x + self.final_x(self.inner_norm_x(hidden))
        if self.equivariant:
            (lifted,) = self.lift_e(self.norm_e(e))
            (change,) = self.final_e(self.inner_norm_e(lifted * gate[0][:, None]))
            e = e + change
        return x, e


class Block(nn.Module):
    """Attention, then feed-forward, each reading normalised streams and adding to those before.

    Parameters
    ----------
    settings : GeoMFormerSettings
    streams : Streams
    names : sequence of str
        Of the attention modules.
    last : bool
        Whether nothing reads e afterwards, so that it needs no update.
    """

    def __init__(
        self,
        settings: GeoMFormerSettings,
        streams: Streams,
        names: Sequence[str],
        *,
        last: bool = False,
    ) -> None:
        super().__init__()
        if last:
            names = [name for name in names if not ATTENTION_MODULES[name].updates_e]
        self.attention = Attention(settings, streams, names) if names else None
        self.feed_forward = FeedForward(settings, streams, equivariant=not last)

    def forward(self, x: Tensor, e: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        if self.attention is not None:
            x, e = self.attention(x, e, edges)
        updated: tuple[Tensor, Tensor] = self.feed_forward(x, e)
        return updated
