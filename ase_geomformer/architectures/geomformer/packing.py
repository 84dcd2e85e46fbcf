"""Frozen weights of GeoMFormer joined for written gradients.

What is joined are modules of :mod:`~ase_geomformer.architectures.geomformer.blocks`, which this
module does not import: it is imported there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.architectures.geomformer.cross_attention import ATTENTION_MODULES
from ase_geomformer.architectures.geomformer.written_attention import AttentionWeights
from ase_geomformer.architectures.geomformer.written_feed_forward import FeedForwardWeights
from ase_geomformer.architectures.geomformer.written_maps import DegreeMaps
from ase_geomformer.architectures.geomformer.written_messages import FrozenMessages
from ase_geomformer.architectures.geomformer.written_projections import FrozenProjections
from ase_geomformer.layers.unit_norm import behind_norm

Linear = tuple[Tensor, Tensor]  # matrix (in, out) and offset (out,)


def attention_weights(attention: Any) -> AttentionWeights:
    """Those of an :class:`~.blocks.Attention`, module by module in the order of the table."""
    names = [name for name in ATTENTION_MODULES if name in attention.attention_modules]
    modules = [attention.attention_modules[name] for name in names]
    places = [list(attention.attention_modules).index(name) for name in names]
    heads, bound, like = attention.heads, attention.bound, attention.self_bias
    packed = AttentionWeights([like, *attention.parameters()])
    packed.projections = _projections(attention, modules)
    parts = _of_radial(attention, places)
    scales = [heads.scale(heads.components[p]) for p in places for _ in range(heads.num_heads)]
    own_bias = like.unflatten(0, (len(names), -1))[places].flatten()
    packed.messages = FrozenMessages(
        heads=heads.num_heads,
        radial=torch.cat([matrix for matrix, _ in parts], dim=1).T.contiguous(),
        radial_bias=torch.cat([offset for _, offset in parts])[:, None],
        scales=(like.new_tensor(scales) / bound)[:, None],
        own_bias=torch.tanh(own_bias / bound)[:, None],
        bound=bound,
    )
    of_x = [behind_norm(own.norm, own.output.weight[0]) for own in modules[:2]]
    packed.inner_eps = modules[0].norm.eps
    packed.out_x = torch.cat([matrix for matrix, _ in of_x])
    packed.out_x_bias = of_x[0][1] + of_x[1][1]
    packed.out_e = None
    if len(modules) > 2:
        of_e = [own.output.by_component * own.norm.gain[:, None] for own in modules[2:]]
        packed.out_e = torch.cat(of_e, dim=1)
    return packed


def _projections(attention: Any, modules: Sequence[Any]) -> FrozenProjections:
    """Queries, keys and values of all modules, and what directions are weighed with."""
    itself, across, *others = modules
    query, key, value = itself.maps.weight
    first_key, second_key, first_value, second_value = across.maps_e.by_map
    of_x = [query, across.maps_x.weight[0]]
    of_e = [across.scale * first_key, across.scale * first_value, second_key, second_value]
    if others:
        own, weighed = others
        own_query, own_key, own_value = own.maps.by_map
        weighed_query, weighed_key, weighed_value = weighed.maps_e.by_map
        of_x += list(weighed.maps_x.weight)
        of_e += [own_query, weighed_query, own_key, own_value, weighed_key, weighed_value]
    of_x += [key, value]
    messages = attention.messages
    if messages is not None and messages.direction_source is not None:
        of_x.append(messages.direction_source.weight[0])
    maps_x, bias = behind_norm(attention.norm_x, torch.cat(of_x))
    # Those of the first component of each degree, and so of all others.
    sizes = across.maps_e.sizes
    firsts = [sum(sizes[:place]) for place in range(len(sizes))]
    of_degrees = torch.cat([part[firsts] for part in of_e], dim=2) * attention.norm_e.gain[:, None]
    maps_e = DegreeMaps(sizes, list(of_degrees))
    return FrozenProjections(attention.norm_x.eps, maps_x, bias, maps_e, bool(others))


def _of_radial(attention: Any, places: Sequence[int]) -> list[Linear]:
    """Filters of values, of directions, and biases by distance divided by their bound.

    The first and the last module by module, in the order ``places``. What is not there is one, or
    zero, at all distances.
    """
    messages, heads, like = attention.messages, attention.heads, attention.self_bias
    count = len(places)

    def read(layer: Any, columns: int, constant: float) -> Linear:
        if layer is None:
            matrix = like.new_zeros(attention.num_radial, columns)
            return matrix, like.new_full((columns,), constant)
        return layer.weight.T, layer.bias

    def ordered(parts: Linear) -> Linear:
        matrix, offset = (part.unflatten(-1, (count, -1))[..., places, :] for part in parts)
        return matrix.flatten(-2), offset.flatten()

    filters = None if messages is None else messages.filters
    found = [ordered(read(filters, count * heads.num_features, 1.0))]
    if messages is not None and messages.direction_filter is not None:
        found.append(read(messages.direction_filter, heads.num_features, 0.0))
    matrix, offset = ordered(read(attention.edge_bias, count * heads.num_heads, 0.0))
    return [*found, (matrix / attention.bound, offset / attention.bound)]


def feed_forward_weights(networks: Any) -> FeedForwardWeights:
    """Those of a :class:`~.blocks.FeedForward`."""
    packed = FeedForwardWeights(networks.parameters())
    hidden, final = networks.hidden, networks.final_x
    packed.eps, packed.inner_eps = networks.norm_x.eps, networks.inner_norm_x.eps
    packed.hidden, packed.hidden_bias = behind_norm(
        networks.norm_x, hidden.weight.flatten(0, 1), hidden.bias
    )
    packed.final, packed.final_bias = behind_norm(networks.inner_norm_x, final.weight, final.bias)
    packed.lift = packed.final_e = None
    if networks.equivariant:
        packed.lift = networks.lift_e.by_component * networks.norm_e.gain[:, None]
        packed.final_e = networks.final_e.by_component * networks.inner_norm_e.gain[:, None]
    return packed
