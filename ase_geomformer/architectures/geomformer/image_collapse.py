"""Attention over pairs of atoms of a small cell, rather than over all their periodic images.

All images T of an atom j have the same key and value, so that with logits a_ij + b_ijT, where only
b depends on the image, sums over images are known before keys and values are:

    sum over T of exp(a_ij + b_ijT) m_ijT^n = exp(a_ij) S^n_ij,  S^n_ij = sum exp(b_ijT) m_ijT^n

The result equals that of :func:`~ase_geomformer.architectures.geomformer.masked_softmax.attend`
within rounding (Chen et al., ICML 2024; MatterSim-MT, arXiv 2605.07927). It pays where atoms have
several images of each other within the cutoff.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.architectures.geomformer.masked_softmax import Heads, bounded
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.edges import Edges


def attend_to_atoms(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: Heads,
    edges: Edges,
    *,
    edge_factor: Tensor,
    self_bias: Tensor,
    bound: float,
) -> Tensor:
    """What every atom receives: (N, width), by N^2 pairs of atoms.

    Parameters are those of
    :func:`~ase_geomformer.architectures.geomformer.masked_softmax.attend`, whose values must not
    depend on the edge.
    """
    num_atoms = query.shape[0]
    mask = edges.envelope[:, None]
    once = edge_factor * mask
    pair = edges.receivers.index * num_atoms + edges.senders.index
    sums = Segments.of(pair, num_atoms**2).sum(torch.cat([once, once * mask], dim=-1))
    by_pair = sums.unflatten(0, (num_atoms, num_atoms)).split(self_bias.shape[0], dim=-1)
    own = torch.exp(bounded(heads.scores(query, key), bound) + bounded(self_bias, bound))
    received = []
    parts = zip(
        heads.components,
        *(heads.split(flat) for flat in (query, key, value)),
        *(sums.split(heads.num_heads, dim=-1) for sums in (*by_pair, own)),
        strict=True,
    )
    for components, q, k, v, first, second, itself in parts:
        scores = torch.einsum("ichf,jchf->ijh", q, k) * heads.scale(components)
        weight = torch.exp(bounded(scores, bound))
        total = torch.einsum("ijh,jchf->ichf", weight * second, v)
        denominator = (weight * first).sum(dim=1) + itself
        own_part = itself[:, None, :, None] * v
        received.append(((total + own_part) / denominator[:, None, :, None]).flatten(1))
    return torch.cat(received, dim=-1)
