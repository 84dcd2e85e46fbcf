"""Edges of a few atoms, measured by NumPy: it starts an operation in a third of torch's time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ase_geomformer.neighbors.edges import MeasuredEdges, NeighborList


class FewEdges:
    """Measures the edges of a structure without periodic images, on a CPU, again and again.

    Parameters
    ----------
    edges : NeighborList
        Without shifts.
    """

    def __init__(self, edges: NeighborList) -> None:
        self.edges = edges
        self._receivers, self._senders = edges.edge_index.numpy()
        # Which of them were short enough the last time, and the list of these.
        self._kept, self._short = np.ones(edges.num_edges, dtype=bool).tobytes(), edges

    def measured_within(self, positions: NDArray[np.float64], cutoff: float) -> MeasuredEdges:
        """What :meth:`NeighborList.measured_within` gives for positions (N, 3), to the bit."""
        vectors = positions.take(self._senders, 0) - positions.take(self._receivers, 0)
        squares = vectors * vectors
        kept = squares[:, 0] + squares[:, 1] + squares[:, 2] <= cutoff * cutoff
        now = kept.tobytes()
        if now != self._kept:
            self._kept = now
            self._short = self.edges.select(torch.from_numpy(np.flatnonzero(kept)))
        if self._short.num_edges < self.edges.num_edges:
            vectors = vectors[kept]
        return MeasuredEdges(self._short, torch.from_numpy(vectors))
