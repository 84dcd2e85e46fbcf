"""Evaluation of many structures at once, in batches that fit the memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from ase_geomformer.ase_results import check_request, needed, to_ase
from ase_geomformer.calculator import PotentialCalculator, as_potential
from ase_geomformer.devices import resolve_device, resolve_dtype
from ase_geomformer.graph import AtomGraph, electrons, geometry
from ase_geomformer.neighbors.problem import complete_cells
from ase_geomformer.potential import Potential

# Larger batches gain no speed on a CPU; on a GPU the other half is left to its other users.
CPU_BUDGET_BYTES = 2**28
CUDA_SHARE_OF_FREE_MEMORY = 0.5


def evaluate_many(
    potential: str | os.PathLike[str] | Potential | PotentialCalculator,
    structures: Iterable[Atoms],
    properties: Sequence[str] = ("energy", "forces"),
    *,
    max_edges: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    neighbors: str = "auto",
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Evaluate structures in batches; only the properties asked for are computed.

    Parameters
    ----------
    potential : str, path, Potential or PotentialCalculator
        A calculator lends its potential, device, type and neighbour backend.
    structures : iterable of ase.Atoms
        Left as they are, their calculators too.
    properties : sequence of str
        ASE's names: energy, free_energy, energies, forces, stress, stresses; charges and dipole
        where the potential has them.
    max_edges : int, optional
        Edges plus atoms, and a tenth of the far pairs, in a batch; a larger structure is a batch
        of its own. Left out, it is taken from the memory: evaluating the first structure shows
        what an edge costs, and a batch may take 256 MiB on a CPU or half of the free memory of a
        GPU.
    device, dtype, neighbors
        As in :class:`~ase_geomformer.calculator.PotentialCalculator`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of dict
        The properties of each structure, in order, as :func:`~ase_geomformer.ase_results.to_ase`
        shapes them. They equal those of one-by-one evaluation within rounding.

    Raises
    ------
    PropertyNotImplementedError, ValueError
        If a structure cannot be evaluated; the message says which. All structures are checked
        before the first is evaluated.
    """
    structures = list(structures)
    properties = (properties,) if isinstance(properties, str) else tuple(properties)
    if max_edges is not None and max_edges < 1:
        raise ValueError(f"max_edges must be at least 1, not {max_edges}")
    if isinstance(potential, PotentialCalculator):
        neighbors = potential.parameters["neighbors"]
        device = potential.potential.device if device is None else device
        potential = potential.potential
    potential = as_potential(potential).copy(
        device=resolve_device("auto" if device is None else device), dtype=resolve_dtype(dtype)
    )
    _check(structures, potential, properties)
    if not structures:
        return []

    def graph(atoms: Atoms) -> AtomGraph:
        # One transfer of a whole batch is faster than building small graphs on a GPU.
        return AtomGraph.from_atoms(
            atoms,
            potential.cutoff,
            far_cutoff=potential.far_cutoff,
            neighbors=neighbors,
            dtype=potential.dtype,
        )

    results: list[dict[str, Any]] = []
    with torch.inference_mode(False):
        limit = max_edges or _edges_that_fit(potential, graph(structures[0]))
        graphs = map(graph, _tracked(structures, progress))
        for batch in _batches(graphs, limit):
            found = potential(AtomGraph.join(batch).to(potential.device), needed(properties))
            members = structures[len(results) : len(results) + len(batch)]
            results += to_ase(found, members, properties)
    return results


def _check(structures: Sequence[Atoms], potential: Potential, properties: Sequence[str]) -> None:
    """Refuse, by its index, what would fail half-way through."""
    for index, atoms in enumerate(structures):
        try:
            geometry(atoms)
            electrons(atoms)
            complete_cells(atoms.cell.array[None], atoms.pbc[None])
            check_request(atoms, potential, properties)
        except (ValueError, PropertyNotImplementedError) as error:
            raise type(error)(f"structure {index} ({atoms.symbols}): {error}") from error


def _batches(graphs: Iterable[AtomGraph], max_edges: int) -> Iterator[list[AtomGraph]]:
    """Consecutive graphs together, as many as the limit allows, one at least."""
    batch: list[AtomGraph] = []
    size = 0
    for graph in graphs:
        own = _size(graph)
        if batch and size + own > max_edges:
            yield batch
            batch, size = [], 0
        batch.append(graph)
        size += own
    if batch:
        yield batch


def _size(graph: AtomGraph) -> int:
    """What the limit of a batch counts; far pairs are many, but each takes little."""
    return graph.num_edges + graph.num_atoms + graph.num_far_pairs // 10


def _edges_that_fit(potential: Potential, graph: AtomGraph) -> int:
    """Edges plus atoms whose evaluation fits the memory, from what ``graph`` takes.

    Peak memory is taken as twice what the forward pass keeps for the gradient: the other half
    stands for gradients and intermediate values.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in potential.state_dict().values()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        potential(graph.to(potential.device), ("forces",))
    kept_bytes = sum(size for pointer, size in kept.items() if pointer not in weights)
    per_edge = 2.0 * kept_bytes / _size(graph)
    budget = float(CPU_BUDGET_BYTES)
    if potential.device.type == "cuda":
        budget = CUDA_SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(potential.device)[0]
    return max(1, int(budget / max(per_edge, 1.0)))


def _tracked(structures: Sequence[Atoms], progress: bool) -> Iterable[Atoms]:
    if not progress:
        return structures
    from rich.progress import track

    return track(structures, description="Evaluating")
