"""Graphs filled up to the sizes that something is compiled for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ase_geomformer.graph.atom_graph import AXES, AtomGraph
from ase_geomformer.graph.padding import continued
from ase_geomformer.graph.pair_graph import version_of


class Filled(NamedTuple):
    """A tensor of a graph, how often it had been changed in place, and it filled up with ghosts."""

    own: Tensor
    version: int | None
    whole: Tensor

    def holds(self, own: Tensor) -> bool:
        """Whether a tensor is this one, unchanged."""
        return own is self.own and self.version is not None and self.version == version_of(own)


class GhostFilling:
    """Fills graphs up with ghosts to one size, and what they share with the one before only once.

    In a simulation that is most: elements, charge, spin, cell, and often the neighbours.

    Parameters
    ----------
    ghosts : AtomGraph
        Of the size wanted, as :func:`~ase_geomformer.graph.padding.ghost_graph` makes it.
    """

    def __init__(self, ghosts: AtomGraph) -> None:
        self._ghosts = ghosts.tensors
        self._before: Sequence[Filled | None] = [None] * len(self._ghosts)

    def __call__(self, graph: AtomGraph) -> list[Tensor]:
        """The tensors of a graph and its ghosts, in the order of the fields."""
        tensors = zip(self._before, graph.tensors, self._ghosts, AXES, strict=True)
        filled = [
            before
            if before is not None and before.holds(own)
            else Filled(own, version_of(own), continued(own, rest, axis))
            for before, own, rest, axis in tensors
        ]
        self._before = filled
        return [one.whole for one in filled]
