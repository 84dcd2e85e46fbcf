"""Sizes that graphs are padded to, so that a compiled function serves many of them.

Compiled functions hold for one number of atoms and edges. In a simulation the number of edges
changes at every step, by a few per cent; a minute of compilation is only worth it when what is
compiled serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ase_geomformer.graph import AtomGraph


class Size(NamedTuple):
    """Of a graph, or of the padded graphs that a function is compiled for; costliest first."""

    num_edges: int
    num_far_pairs: int
    num_atoms: int

    @classmethod
    def of(cls, graph: AtomGraph) -> Size:
        """The size of a graph with the ghost atom that padding needs at least."""
        return cls(graph.num_edges, graph.num_far_pairs, graph.num_atoms + 1)


# Room beyond the present size, as a share of it: what thermal motion needs. Each further
# compilation reaches this much further, so that their number grows as the logarithm of the size.
HEADROOM = (1 / 16, 1 / 16, 0.0)

# Multiples that fill the registers of the processor.
STEP = Size(num_edges=16, num_far_pairs=16, num_atoms=8)

# A function compiled for a larger graph is used instead of compiling another, as long as it is
# larger by no more than this share, or by so few that their cost is not worth a compilation.
WASTE = 1 / 4
FEW = Size(num_edges=128, num_far_pairs=1024, num_atoms=32)


def bucket(size: Size) -> Size:
    """The size to compile for when a graph of this size comes, with room for more edges."""
    return Size(
        *(
            -int(-number * (1 + room) // step) * step
            for number, room, step in zip(size, HEADROOM, STEP, strict=True)
        )
    )


def best_fit(buckets: Iterable[Size], size: Size) -> Size | None:
    """The smallest of the buckets that holds a graph of this size without much waste, if any."""
    return min(
        (
            candidate
            for candidate in buckets
            if all(
                number <= room <= (1 + WASTE) * number + few
                for number, room, few in zip(size, candidate, FEW, strict=True)
            )
        ),
        default=None,
    )
