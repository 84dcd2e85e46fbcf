"""Evaluation of a potential on a structure that is divided among processes.

Every process gives the atoms of its domain and the images of atoms around them, as programs for
molecular dynamics hold them. Images of one atom share a row of features, and images of an atom
that lives in the domain itself need none: on one process nothing is left to exchange.

Two modes. With ``exchange``, images reach one cutoff around the domain, and features of ghosts are
fetched from their owners. With ``deep``, they reach as many cutoffs as the potential has hops, all
layers act on them, and only forces are sent home.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_geomformer.engines.exchange import Ids, Messenger, Plan, total
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.domain import DomainGraph
from ase_geomformer.neighbors import neighbor_list
from ase_geomformer.physics import EnergyTerm
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.prepared import PreparedPotential
from ase_geomformer.runtime.results import to_host

Mode = Literal["exchange", "deep"]
MODES: tuple[Mode, ...] = ("exchange", "deep")
Array = NDArray[np.float64]

# Å; components of vectors between images of one atom that are as small come from rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Images:
    """Atoms of a domain, then images of atoms around it, own ones included.

    Attributes
    ----------
    ids : array of int, shape (M,)
        Numbers of the atoms; images share that of their atom.
    numbers : array of int, shape (M,)
        Atomic numbers.
    num_local : int
        How many are atoms of the domain.
    """

    ids: Ids
    numbers: NDArray[np.int64]
    num_local: int


@dataclass(frozen=True, eq=False)
class DomainResult:
    """What a domain's evaluation gives.

    Attributes
    ----------
    energy : float
        Of the whole structure, eV.
    virial : array, shape (3, 3)
        Derivative of the whole energy with respect to strain, eV.
    energies : array, shape (N,)
        Of the domain's atoms, eV.
    forces : array, shape (N, 3)
        On the domain's atoms, eV/Å.
    charges : array, shape (N,), or None
        Of the domain's atoms, e, where the potential predicts them.
    """

    energy: float
    virial: Array
    energies: Array
    forces: Array
    charges: Array | None


def check_divisible(potential: Potential, mode: Mode = "exchange") -> None:
    """Raise ValueError, naming what stands in the way, if a structure cannot be divided."""
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; choose from {', '.join(MODES)}")
    architecture = potential.architecture
    if architecture.hops is None:
        raise ValueError(
            f"{architecture.name} with these settings lets all atoms of a structure see each "
            "other, and cannot be divided into domains; evaluate it with the ASE calculator"
        )
    remedy = "give a long_range_cutoff, such as 12 Å, or use the ASE calculator"
    for name, module in potential.terms.items():
        term = cast(EnergyTerm, module)
        if term.is_reciprocal:
            raise ValueError(
                f"the term {name!r} sums over the reciprocal lattice of the whole structure, "
                f"which cannot be divided into domains; {remedy}"
            )
        if math.isinf(term.far_cutoff):
            raise ValueError(
                f"the term {name!r} sums over all pairs of the whole structure, which cannot be "
                f"divided into domains; {remedy}"
            )
        if term.far_cutoff and mode == "deep":
            raise ValueError(f"the term {name!r} needs mode exchange: deep knows no far pairs")
    if not potential.conservative:
        raise ValueError(
            "the potential's forces are no gradient of its energy, and there is no virial; "
            "evaluate it with the ASE calculator"
        )


def reach(potential: Potential, mode: Mode = "exchange") -> float:
    """How far around a domain images are needed, Å."""
    hops = potential.architecture.hops or 0
    near = potential.cutoff * (hops if mode == "deep" else 1)
    return max(near, potential.far_cutoff)


class Neighbourhood:
    """The candidates for edges of a domain, and its connection to other domains.

    It holds until atoms migrate or have moved by half the skin.

    Parameters
    ----------
    images : Images
    positions : array, shape (M, 3)
        Å.
    messenger : Messenger
    potential : Potential
        One that :func:`check_divisible` accepts.
    mode : str
    skin : float
        Å.
    """

    def __init__(
        self,
        images: Images,
        positions: Array,
        messenger: Messenger,
        potential: Potential,
        *,
        mode: Mode = "exchange",
        skin: float = 0.0,
    ) -> None:
        self.images, self.mode = images, mode
        self.cutoff, self.far_cutoff = potential.cutoff, potential.far_cutoff
        self.hops = potential.architecture.hops or 0
        local = images.ids[: images.num_local]
        self._rows, ghost_ids = rows_of_images(images)
        self.plan = Plan(messenger, local, ghost_ids)
        self._numbers = np.empty(len(local) + len(ghost_ids), dtype=np.int64)
        self._numbers[self._rows] = images.numbers
        if mode == "exchange":
            self._numbers = self._numbers[: len(local)]
        place = torch.from_numpy(np.ascontiguousarray(positions))
        self._edges = self._pairs(place, self.cutoff + skin, ghosts=mode == "deep")
        self._far = torch.zeros(2, 0, dtype=torch.int64)
        if self.far_cutoff:
            self._far = self._pairs(place, self.far_cutoff + skin, ghosts=False)

    def graph(
        self, positions: Array, cell: Array, charge: float = 0.0, spin: float = 1.0
    ) -> AtomGraph:
        """The domain's graph, float64; an ordinary one where there is one domain only."""
        place = torch.from_numpy(np.ascontiguousarray(positions))
        rows = torch.from_numpy(self._rows)
        edges, vectors = _within(place, self._edges, self.cutoff)
        if self.mode == "deep":
            kept = self._deep_enough(edges)
            edges, vectors = edges[:, kept], vectors[kept]
            # In the order of their receivers again, whose images are not in the order of rows.
            order = rows[edges[0]].argsort(stable=True)
            edges, vectors = edges[:, order], vectors[order]
        far, far_vectors = _within(place, self._far, self.far_cutoff)
        kept = self._once(far, far_vectors)
        numbers = torch.from_numpy(self._numbers)
        content: dict[str, Any] = {
            "atomic_numbers": numbers,
            "edge_index": rows[edges],
            "edge_vectors": vectors,
            "batch": torch.zeros_like(numbers),
            "charge": torch.tensor([charge], dtype=torch.float64),
            "spin": torch.tensor([spin], dtype=torch.float64),
            "cell": torch.from_numpy(np.array(cell, dtype=np.float64))[None],
            "far_index": rows[far[:, kept]],
            "far_vectors": far_vectors[kept],
        }
        if self.plan.messenger.size == 1:
            return AtomGraph(**content)
        return DomainGraph(**content, links=self.plan, exchanges=self.mode == "exchange")

    def _pairs(self, place: Tensor, radius: float, *, ghosts: bool) -> Tensor:
        """Pairs (2, E) of images within a radius, each both ways, ordered by the first."""
        if not self.images.num_local:
            return torch.zeros(2, 0, dtype=torch.int64)
        found = neighbor_list(place, torch.zeros(3, 3).double(), torch.zeros(3).bool(), radius)
        index = found.edge_index
        return index if ghosts else index[:, index[0] < self.images.num_local]

    def _deep_enough(self, edges: Tensor) -> Tensor:
        """Mask (E,): edges to what is fewer hops away than matter, centred on one image of each."""
        far = self.hops + 1
        distance = torch.full((len(self._rows),), far)
        distance[: self.images.num_local] = 0
        for _ in range(self.hops - 1):
            reached = (distance[edges[0]] + 1).clamp(max=far)
            distance = distance.scatter_reduce(0, edges[1], reached, "amin")
        rows = torch.from_numpy(self._rows)
        # The nearest image of each atom, the first of several: ranked by distance, then by number.
        rank = distance * len(rows) + torch.arange(len(rows))
        nearest = torch.full((len(self._numbers),), far * len(rows) + len(rows))
        nearest = nearest.scatter_reduce(0, rows, rank, "amin")
        chosen = rank == nearest[rows]
        return (chosen & (distance < self.hops))[edges[0]]

    def _once(self, pairs: Tensor, vectors: Tensor) -> Tensor:
        """Mask (P,) that keeps one of the two directions of every pair, in one domain only."""
        first, second = torch.from_numpy(self.images.ids)[pairs]
        x, y, z = torch.where(vectors.abs() < _ROUNDING, 0.0, vectors.sign()).unbind(1)
        forward = 9.0 * x + 3.0 * y + z > 0.0
        return torch.where(first == second, forward, first < second)


def rows_of_images(images: Images) -> tuple[NDArray[np.int64], Ids]:
    """Row of features of each image (M,), and the ids of the atoms that are ghosts."""
    local, others = np.split(images.ids, [images.num_local])
    order = np.argsort(local, kind="stable")
    place = np.searchsorted(local, others, sorter=order).clip(max=max(len(local) - 1, 0))
    row = order[place] if len(local) else np.zeros(len(others), dtype=np.int64)
    is_own = local[row] == others if len(local) else np.zeros(len(others), dtype=bool)
    ghost_ids, ghost_rows = np.unique(others[~is_own], return_inverse=True)
    row[~is_own] = len(local) + ghost_rows
    return np.concatenate([np.arange(len(local)), row]), ghost_ids


def _within(place: Tensor, pairs: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Of pairs of images (2, E), those within a radius, and their vectors, Å."""
    first, second = pairs
    vectors = place.index_select(0, second) - place.index_select(0, first)
    near = (vectors * vectors).sum(dim=1) < radius * radius
    return pairs[:, near], vectors[near]


class DomainEvaluator:
    """Evaluates the domain of this process, together with those of all others.

    Parameters
    ----------
    prepared : PreparedPotential
    messenger : Messenger
    mode : str
        ``exchange`` or ``deep``; see the module.

    Raises
    ------
    ValueError
        If structures cannot be divided with this potential.
    """

    def __init__(
        self, prepared: PreparedPotential, messenger: Messenger, mode: Mode = "exchange"
    ) -> None:
        check_divisible(prepared.potential, mode)
        self.prepared, self.messenger, self.mode = prepared, messenger, mode

    def __call__(self, graph: AtomGraph, num_local: int) -> DomainResult:
        """Evaluate the graph that a :class:`Neighbourhood` gives.

        Raises
        ------
        FloatingPointError
            In all processes, if the energy or a force is not finite in one of them.
        """
        moved = self._moved(graph)
        host = to_host(self._evaluated(moved))
        forces, energies = host["forces"][:num_local], host["energies"][:num_local]
        good = np.isfinite(forces).all() and np.isfinite(energies).all()
        bad = total(self.messenger, np.array([0 if good else 1]))[0]
        if bad:
            raise FloatingPointError(
                "energies or forces are not finite"
                + (f" in {bad} of {self.messenger.size} domains" if self.messenger.size > 1 else "")
                + "; atoms may be too close, or the time step too long"
            )
        volume = float(moved.volume[0])
        return DomainResult(
            energy=float(host["energy"][0]),
            virial=host["stress"][0] * volume,
            energies=energies,
            forces=forces,
            charges=host["charges"][:num_local] if "charges" in host else None,
        )

    def _moved(self, graph: AtomGraph) -> AtomGraph:
        """The graph on the potential's device and in its dtype."""
        return graph.to(self.prepared.device, self.prepared.dtype)

    def _evaluated(self, graph: AtomGraph) -> dict[str, Tensor]:
        potential = self.prepared.potential
        names = ["energy", "energies", "forces", "stress"]
        names += [name for name in ("charges",) if name in potential.properties]
        if not isinstance(graph, DomainGraph):
            return self.prepared(graph, names)
        self.prepared.keep_memory(graph)
        # Compiled code could not wait for other processes.
        with torch.inference_mode(False):
            return potential(graph, names)
