"""Frozen weights of EST joined for written gradients.

What is joined are modules of this architecture, which this module does not import: it is imported
by them.
"""

from __future__ import annotations

from typing import Any

import torch

from ase_geomformer.architectures.est.written_attention import AttentionWeights
from ase_geomformer.architectures.est.written_filters import FilterWeights
from ase_geomformer.architectures.est.written_sums import degree_slices
from ase_geomformer.architectures.est.written_update import UpdateWeights
from ase_geomformer.layers.unit_norm import behind_norm


def attention_weights(attention: Any, norm: Any, *, largest: float) -> AttentionWeights:
    """Those of a :class:`~.graph_attention.GraphAttention` and of the norm before it."""
    first, second = attention.first, attention.second
    layers = [attention.sender, attention.receiver, attention.out, norm]
    layers += [*first.modules(), *second.modules()]
    own = [weight for layer in layers for weight in layer.parameters(recurse=False)]
    packed = AttentionWeights([*own, attention.logit])
    packed.norm = norm.frozen()
    ends = attention.sender.by_component, attention.receiver.by_component
    packed.ends, packed.sender_bias = torch.cat(ends, dim=2), attention.sender.bias
    packed.first, packed.second = first.frozen(sum(attention.parts)), second.frozen(0)
    heads, width, logit = attention.heads, attention.width, attention.logit.flatten()
    packed.members = torch.eye(heads).to(logit).repeat_interleave(width // heads, dim=1)
    packed.logits = (packed.members * logit / largest).T.contiguous()
    packed.largest = largest
    packed.out = attention.out.by_component * attention.truncation[:, :, None]
    packed.out_bias = attention.out.bias
    return packed


def filter_weights(messages: Any, norm: Any) -> FilterWeights:
    """Those of :class:`~.filters.FilterMessages` and of the norm before it."""
    maps = [messages.value, *((messages.key, messages.query) if messages.heads else ())]
    layers = [*maps, messages.out, norm]
    packed = FilterWeights([weight for layer in layers for weight in layer.parameters()])
    packed.norm = norm.frozen()
    packed.degrees = degree_slices(messages.lmax + 1)
    packed.scalars = torch.cat([own.weight for own in maps]).T.contiguous()
    packed.scalars_bias = torch.cat([own.bias for own in maps])
    packed.members, packed.share = None, 1.0 / messages.norm
    if messages.heads:
        heads, width = messages.heads, messages.channels // messages.heads
        packed.members = torch.eye(heads).to(packed.scalars).repeat_interleave(width, dim=1)
        # Logits are scaled with the queries.
        packed.scalars[:, -messages.channels :] *= width**-0.5
        packed.scalars_bias[-messages.channels :] *= width**-0.5
    packed.out, packed.out_bias = messages.out.by_component, messages.out.bias
    return packed


def update_weights(update: Any, norm: Any) -> UpdateWeights:
    """Those of an :class:`~.blocks.Update` with one expert of a kind, and of the norm before it."""
    packed = UpdateWeights([*update.parameters(), *norm.parameters()])
    packed.norm = norm.frozen()
    packed.steerable = update.steerable[0].frozen() if len(update.steerable) else None
    packed.sphere = packed.logits = packed.logits_bias = None
    spherical, gate = update.spherical, update.gate
    if spherical is None:
        return packed
    packed.sphere = spherical.frozen()
    readers = [
        (spherical.scalar_norm, spherical.scalar),
        (spherical.scalar_norm, spherical.stages.gate),
    ]
    if gate is not None:
        readers.insert(0, (gate.norm, gate.hidden))
        packed.logits = gate.logits.weight.T.contiguous()
        packed.logits_bias = gate.logits.bias
    layers = [behind_norm(before, own.weight, own.bias) for before, own in readers]
    packed.of_scalars = torch.cat([matrix for matrix, _ in layers], dim=1)
    packed.of_scalars_bias = torch.cat([offset for _, offset in layers])
    widths = [own.out_features for _, own in readers]
    packed.widths, packed.eps = [0] * (gate is None) + widths, spherical.scalar_norm.eps
    return packed
