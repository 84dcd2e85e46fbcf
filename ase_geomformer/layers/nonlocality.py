"""Neighbours in the space of Euclidean variables, however far apart the atoms are.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276).
"""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor

from ase_geomformer.layers.cutoff import polynomial_cutoff
from ase_geomformer.layers.segment import gather, segment_sum

UNIFORM: Final = "uniform"


def segment_softmax(logits: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Softmax among the rows that share an index: (E,) with index (E,) to (E,)."""
    # The largest of each segment is subtracted; as this changes nothing, it needs no gradient.
    lowest = logits.new_full((num_segments,), -torch.inf)
    largest = lowest.scatter_reduce(0, index, logits.detach(), "amax")
    weights = torch.exp(logits - largest[index])
    return weights / gather(segment_sum(weights, index, num_segments), index)


def nonlocal_envelope(
    separations: Tensor,
    receiver: Tensor,
    sender: Tensor,
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
    receiver, sender : Tensor, shape (P,)
    batch : Tensor, shape (N,)
    cutoff : float or "uniform"
        In units of the softmax; ``uniform`` is 1/N of each structure's number of atoms N.
    rounded : bool
        Round 1/N to float32, as the original code does.
    """
    shares = segment_softmax(separations, receiver, len(batch))
    limit = _inverse_sizes(batch, shares, rounded)[receiver] if cutoff == UNIFORM else cutoff
    return torch.where(receiver == sender, 0.0, polynomial_cutoff(shares, limit))


def _inverse_sizes(batch: Tensor, like: Tensor, rounded: bool) -> Tensor:
    """One over the number of atoms in each atom's structure (N,)."""
    sizes = segment_sum(torch.ones_like(batch, dtype=like.dtype), batch, len(batch))[batch]
    return (1.0 / sizes).float().to(like.dtype) if rounded else 1.0 / sizes
