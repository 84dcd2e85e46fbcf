"""The graph of a structure that moves: what does not change is kept from step to step."""

from __future__ import annotations

import torch
from ase import Atoms

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.structure import Geometry, checked_positions, geometry
from ase_geomformer.neighbors import VerletList


class KeptGraph:
    """Makes graphs of a structure on its way, and keeps neighbour lists and what does not change.

    Parameters
    ----------
    cutoff : float
        Radius of the edges in Å.
    skin, backend
        As in :class:`~ase_geomformer.neighbors.VerletList`.
    device, dtype
        Of the graphs.

    Attributes
    ----------
    edges : VerletList
    far_pairs : VerletList or None
        Once a graph with far pairs has been made.
    """

    def __init__(
        self, cutoff: float, skin: float, backend: str, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.edges = VerletList(cutoff, skin, backend)
        self.far_pairs: VerletList | None = None
        self._device, self._dtype = device, dtype
        self._last: tuple[Geometry, AtomGraph] | None = None

    def of(self, atoms: Atoms, far_cutoff: float) -> AtomGraph:
        """The graph of a structure; only positions may differ from the one before.

        Parameters
        ----------
        atoms : ase.Atoms
        far_cutoff : float
            Radius of the far pairs in Å; 0 for none, infinite for all.
        """
        if self._last is None:
            host = geometry(atoms)
        else:
            host = self._last[0]._replace(positions=torch.from_numpy(checked_positions(atoms)))
        here = host.to(self._device)
        edges = self.edges.measure(*here, host)
        far = None
        if far_cutoff:
            if self.far_pairs is None or self.far_pairs.cutoff != far_cutoff:
                skin, backend = self.edges.skin, self.edges.backend
                self.far_pairs = VerletList(far_cutoff, skin, backend, half=True)
            far = self.far_pairs.measure(*here, host)
        if self._last is None:
            graph = AtomGraph.from_neighbors(
                atoms, edges, here.positions, here.cell, far=far, dtype=self._dtype
            )
        else:
            graph = self._last[1].moved(edges, here.positions, far)
        self._last = host, graph
        return graph

    def forget(self) -> None:
        """Allow the next structure to differ in more than its positions."""
        self._last = None
