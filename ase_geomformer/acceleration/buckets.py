"""Sizes that graphs are padded to, so that a compiled function serves many of them.

Compiled functions hold for one number of atoms, edges and structures. In a simulation the number
of edges changes at every step, by a few per cent, and batches of a list have different sizes; a
minute of compilation is only worth it when what is compiled serves many of them.
"""

from __future__ import annotations

from typing import NamedTuple

from ase_geomformer.graph.atom_graph import AtomGraph


class Size(NamedTuple):
    """Of a graph, or of the padded graphs that a function is compiled for."""

    num_edges: int
    num_far_pairs: int
    num_atoms: int
    num_structures: int

    @classmethod
    def of(cls, graph: AtomGraph) -> Size:
        """The size of a graph with the ghost atom and structure that padding needs at least."""
        return cls(
            graph.num_edges, graph.num_far_pairs, graph.num_atoms + 1, graph.num_structures + 1
        )

    @property
    def cost(self) -> float:
        """What evaluating it takes, about, in the time of one edge."""
        return self.num_edges + self.num_far_pairs / 10 + self.num_atoms

    def holds(self, other: Size) -> bool:
        """Whether a graph of the other size can be padded to this one."""
        return all(room >= number for room, number in zip(self, other, strict=True))


# Room beyond the present size, as a share of it: what thermal motion needs, and what batches of
# other structures differ by. Each further compilation reaches this much further, so that their
# number grows as the logarithm of the size.
HEADROOM_ALONE = (1 / 16, 1 / 16, 0.0, 0.0)
HEADROOM_TOGETHER = (1 / 16, 1 / 16, 1 / 16, 1 / 4)

# Multiples that they are rounded up to, so that sizes which hardly differ are one.
STEP = Size(num_edges=16, num_far_pairs=16, num_atoms=2, num_structures=2)

# A larger size is close enough if it costs no more than this share beyond what is needed, or so
# little that it is not worth a compilation however often it is paid.
WASTE = 1 / 4
FEW = 128.0

# What compiling costs, in the time of one edge: a minute or two, at 6 (So3krates, three layers of
# 128 features with tables) to 20 microseconds.
COMPILATION = 6e6


def bucket(size: Size) -> Size:
    """The size to compile for when a graph of this size comes, with room for more edges."""
    alone = size.num_structures <= 2
    headroom = HEADROOM_ALONE if alone else HEADROOM_TOGETHER
    return Size(
        *(
            -int(-number * (1 + room) // step) * step
            for number, room, step in zip(size, headroom, STEP, strict=True)
        )
    )


class Buckets:
    """The sizes something is compiled for, and which of them serves a graph.

    A size that is far too large serves as well, until what was wasted so would have paid for a
    compilation: the small remainder of a list, or a list that grows shorter as its members are
    done, is not worth one, and a long simulation of a smaller structure is.
    """

    def __init__(self) -> None:
        self._wasted: dict[Size, float] = {}

    def choose(self, size: Size) -> Size:
        """The size that a graph of this size is to be padded to; if it is a new one, it is kept."""
        fitting = [known for known in self._wasted if known.holds(size)]
        cheapest = min(fitting, key=lambda known: known.cost, default=None)
        if cheapest is None:
            return self._new(size)
        waste = cheapest.cost - size.cost
        if waste > WASTE * size.cost + FEW:
            self._wasted[cheapest] += waste
            if self._wasted[cheapest] > COMPILATION:
                self._wasted[cheapest] = 0.0
                return self._new(size)
        return cheapest

    def _new(self, size: Size) -> Size:
        made = bucket(size)
        self._wasted[made] = 0.0
        return made
