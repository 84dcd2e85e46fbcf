"""Graph of a part of a structure, whose other parts are in other processes.

A domain has local atoms and ghosts, atoms of other domains that its edges reach. What an atom
sends to its neighbours is fetched from its own domain wherever an architecture gathers from
senders, and the gradient goes back the same way: each domain differentiates the energy of its own
atoms, and what the exchange adds up is the gradient of the whole. No dense layer sees a ghost.

Instead, ghosts may reach so deep that nothing needs to be exchanged: then all layers act on them
like on local atoms, and only energies and forces tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments


class Links(Protocol):
    """Connects the atoms of a domain with those of the others.

    All domains call the same functions in the same order.
    """

    @property
    def num_local(self) -> int:
        """Number of atoms of this domain."""

    @property
    def num_ghosts(self) -> int:
        """Number of atoms of other domains that this one knows."""

    def fetch(self, rows: Tensor) -> Tensor:
        """Rows (G, w) of the ghosts, from those of the local atoms (N, w) of all domains."""

    def deliver(self, rows: Tensor) -> Tensor:
        """Sums (N, w) over all domains of what they have for this one's atoms as ghosts (G, w)."""

    def total(self, values: Tensor) -> Tensor:
        """Sum of a tensor over all domains, the same to the bit in each of them."""


@dataclass(frozen=True, eq=False)
class GhostSegments(Segments):
    """Which atom, local or ghost, each member belongs to; ``number`` counts both.

    Sums of ghosts go home, and what is gathered from ghosts is fetched there: both act on the rows
    of local atoms alone.
    """

    is_divided: ClassVar[bool] = True

    links: Links = None  # type: ignore[assignment]

    @classmethod
    def linked(cls, index: Tensor, links: Links) -> GhostSegments:
        """Segments as they suit the device."""
        plain = Segments.of(index, links.num_local + links.num_ghosts)
        return cls(**vars(plain), links=links)

    def sum(self, values: Tensor) -> Tensor:
        """Sum the rows of each local atom over all domains: (E, ...) to (N, ...)."""
        return _home(super().sum(values), self.links)

    def gather(self, values: Tensor) -> Tensor:
        """Give each member the row of its atom: (N, ...) to (E, ...)."""
        return super().gather(_with_ghosts(values, self.links))


@dataclass(frozen=True, eq=False)
class TotalSegments(Segments):
    """Members by their structure, in all domains together; ghosts come last and do not count."""

    links: Links = None  # type: ignore[assignment]
    counted: int | None = None

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the members in all domains: (E, ...) to (B, ...)."""
        own = values[: self.counted]
        zeros = values.new_zeros(self.number, *values.shape[1:])
        return _total(zeros.index_add(0, self.index[: self.counted], own), self.links)


@dataclass(frozen=True, eq=False)
class DomainGraph(AtomGraph):
    """A domain of one structure.

    Local atoms come first among the ends of edges, then the ghosts. ``atomic_numbers`` and
    ``batch`` are of the local atoms where features are exchanged, of all where they are not.
    Charge, spin and cell are those of the whole structure, and every far pair is in one domain
    only.

    Attributes
    ----------
    links : Links
    exchanges : bool
        Whether features are exchanged.
    """

    # Those around ghosts may not. A count of edges cannot tell: it may be right by chance.
    has_reverses: ClassVar[bool] = False

    links: Links = None  # type: ignore[assignment]
    exchanges: bool = True

    @property
    def senders(self) -> Segments:
        if self.exchanges:
            return GhostSegments.linked(self.edge_index[1], self.links)
        return super().senders

    @property
    def structures(self) -> Segments:
        return TotalSegments(
            self.batch, self.num_structures, links=self.links, counted=self.links.num_local
        )

    @property
    def lacks_far_pairs(self) -> bool:
        # They may all be in other domains.
        return False

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> DomainGraph:
        moved = super().to(device, dtype)
        tensors = {field.name: getattr(moved, field.name) for field in fields(AtomGraph)}
        return replace(self, **tensors)

    def ends(self, index: Tensor) -> Segments:
        return GhostSegments.linked(index.flatten(), self.links)

    def by_structure(self, atoms: Tensor) -> Segments:
        # All members are of the one structure, those centred on ghosts included.
        return TotalSegments(torch.zeros_like(atoms), self.num_structures, links=self.links)

    def own(self, values: Tensor) -> Tensor:
        return values[: self.links.num_local]


class _Linear(torch.autograd.Function):
    """Exchange is linear: the gradient needs nothing but the links."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.links = inputs[1]


class _WithGhosts(_Linear):
    """Rows of local atoms, followed by those of the ghosts."""

    @staticmethod
    def forward(values: Tensor, links: Links) -> Tensor:
        return torch.cat([values, links.fetch(values)])

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return _Home.apply(slopes[0], ctx.links), None


class _Home(_Linear):
    """Rows of local atoms and ghosts to those of local atoms, with what other domains have."""

    @staticmethod
    def forward(values: Tensor, links: Links) -> Tensor:
        local, ghosts = values.split([links.num_local, links.num_ghosts])
        return local + links.deliver(ghosts)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return _WithGhosts.apply(slopes[0], ctx.links), None


class _Total(_Linear):
    """Sum over domains; each of them differentiates its own share of what is made of it."""

    @staticmethod
    def forward(values: Tensor, links: Links) -> Tensor:
        return links.total(values)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return _Total.apply(slopes[0], ctx.links), None


def _as_rows(values: Tensor) -> Tensor:
    return values.flatten(1) if values.dim() > 1 else values[:, None]


def _with_ghosts(values: Tensor, links: Links) -> Tensor:
    rows: Tensor = _WithGhosts.apply(_as_rows(values), links)
    return rows.reshape(len(rows), *values.shape[1:])


def _home(values: Tensor, links: Links) -> Tensor:
    rows: Tensor = _Home.apply(_as_rows(values), links)
    return rows.reshape(len(rows), *values.shape[1:])


def _total(values: Tensor, links: Links) -> Tensor:
    total: Tensor = _Total.apply(values, links)
    return total
