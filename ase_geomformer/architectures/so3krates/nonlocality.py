"""Neighbours in the space of Euclidean variables, however far apart the atoms are.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276).
"""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor

from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.cutoff import polynomial_cutoff

UNIFORM: Final = "uniform"


def segment_softmax(logits: Tensor, segments: Segments) -> Tensor:
    """Softmax among the members of each segment, (E,) to (E,)."""
    # The largest of each segment is subtracted; as this changes nothing, it needs no gradient.
    lowest = logits.new_full((segments.number,), -torch.inf)
    largest = lowest.scatter_reduce(0, segments.index, logits.detach(), "amax")
    weights = torch.exp(logits - largest[segments.index])
    return weights / segments.gather(segments.sum(weights))


def nonlocal_envelope(
    separations: Tensor,
    receivers: Segments,
    senders: Segments,
    batch: Tensor,
    cutoff: float | Literal["uniform"],
    *,
    rounded: bool = False,
) -> Tensor:
    """Weights (P,) of all pairs of every structure by their distance among Euclidean variables.

    For each receiver the distances pass through a softmax, so that they sum to one; those that
    come out below the cutoff are neighbours. An atom is not its own: such pairs only fill up a
    padded graph.

    Parameters
    ----------
    separations : Tensor, shape (P,)
        Distances of the pairs, each in both directions.
    receivers, senders : Segments
    batch : Tensor, shape (N,)
    cutoff : float or "uniform"
        In units of the softmax; ``uniform`` is 1/N of each structure's number of atoms N.
    rounded : bool
        Round 1/N to float32, as the original code does.
    """
    shares, receiver = segment_softmax(separations, receivers), receivers.index
    limit = _inverse_sizes(batch, shares, rounded)[receiver] if cutoff == UNIFORM else cutoff
    return torch.where(receiver == senders.index, 0.0, polynomial_cutoff(shares, limit))


def _inverse_sizes(batch: Tensor, like: Tensor, rounded: bool) -> Tensor:
    """One over the number of atoms in each atom's structure (N,)."""
    atoms = Segments.of(batch, batch.shape[0], in_order=True)
    sizes = atoms.sum(torch.ones_like(batch, dtype=like.dtype))[batch]
    return (1.0 / sizes).float().to(like.dtype) if rounded else 1.0 / sizes
