"""Graphs of many structures; small ones share one neighbour search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from ase import Atoms

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.structure import electrons, geometry
from ase_geomformer.neighbors import batched_neighbor_list, batched_pair_list

# A search has a fixed cost, which that of a structure with fewer atoms does not exceed.
SMALL_STRUCTURE = 100
# Atoms searched together; with more, little would be gained, and batches would not come out even.
ATOMS_TOGETHER = 512
# The backends that the joint search, by torch, can stand in for.
REPLACEABLE = ("auto", "torch")


def graphs(
    structures: Iterable[Atoms],
    cutoff: float,
    *,
    far_cutoff: float = 0.0,
    neighbors: str = "auto",
    dtype: torch.dtype = torch.float64,
) -> Iterator[AtomGraph]:
    """Graphs of structures, in order; consecutive small structures come as one graph.

    Arguments and errors are those of :meth:`AtomGraph.from_atoms`, and so are the structures'
    parts of the graphs.
    """
    for group in _groups(structures):
        if len(group) > 1 and neighbors in REPLACEABLE:
            yield joint_graph(group, cutoff, far_cutoff=far_cutoff, dtype=dtype)
        else:
            yield AtomGraph.from_atoms(
                group, cutoff, far_cutoff=far_cutoff, neighbors=neighbors, dtype=dtype
            )


def joint_graph(
    structures: Sequence[Atoms],
    cutoff: float,
    *,
    far_cutoff: float = 0.0,
    dtype: torch.dtype = torch.float64,
) -> AtomGraph:
    """What :meth:`AtomGraph.from_atoms` gives, by one search for all structures; on the CPU."""
    found = zip(*map(geometry, structures), strict=True)
    positions, cells, pbcs = (list(column) for column in found)
    counts = torch.tensor([len(atoms) for atoms in structures])
    batch = torch.repeat_interleave(torch.arange(len(structures)), counts)
    place, cell, pbc = torch.cat(positions), torch.stack(cells), torch.stack(pbcs)
    edges = batched_neighbor_list(place, cell, pbc, batch, cutoff)
    pairs = {}
    if far_cutoff:
        far = batched_pair_list(place, cell, pbc, batch, far_cutoff)
        vectors = far.vectors(place, cell, batch).to(dtype)
        pairs = {"far_index": far.edge_index, "far_vectors": vectors}
    totals = [electrons(atoms) for atoms in structures]
    numbers = [torch.as_tensor(atoms.get_atomic_numbers()) for atoms in structures]
    return AtomGraph(
        atomic_numbers=torch.cat(numbers).to(torch.int64),
        edge_index=edges.edge_index,
        edge_vectors=edges.vectors(place, cell, batch).to(dtype),
        batch=batch,
        charge=torch.tensor([total["charge"] for total in totals], dtype=dtype),
        spin=torch.tensor([total["spin"] for total in totals], dtype=dtype),
        cell=cell.to(dtype),
        positions=place.to(dtype),
        **pairs,
    )


def _groups(structures: Iterable[Atoms]) -> Iterator[list[Atoms]]:
    """Consecutive small structures together, large ones alone."""
    group: list[Atoms] = []
    size = 0
    for atoms in structures:
        if group and (len(atoms) > SMALL_STRUCTURE or size + len(atoms) > ATOMS_TOGETHER):
            yield group
            group, size = [], 0
        group.append(atoms)
        size += len(atoms) if len(atoms) <= SMALL_STRUCTURE else ATOMS_TOGETHER
    if group:
        yield group
