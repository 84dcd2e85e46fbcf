"""Labelled structures as graphs that are quickly joined into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ase_geomformer.data.frames import TARGETS, Frame
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.structure import electrons
from ase_geomformer.neighbors import NeighborList
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.edges import EdgeTable, edge_table


class GraphDataset(Dataset[LabelledGraph]):
    """Frames as graphs with labels.

    All frames lie one after another in a few long tensors, from which a batch is gathered by
    index: joining one small graph per frame would cost more than a training step can spare.
    ``torch.utils.data.DataLoader(dataset, batch_sampler=..., collate_fn=collate)`` gathers whole
    batches at once.

    Parameters
    ----------
    frames : sequence of Frame
    cutoff : float
        Of the graphs, Å.
    far_cutoff : float
        Of their far pairs, Å; none by default.
    dtype : torch.dtype
        Of everything but energies, which stay float64.
    cache : Path, optional
        Folder in which neighbour lists are kept from run to run.
    neighbors : str
        Backend, see :func:`ase_geomformer.neighbors.neighbor_list`.
    progress : bool
        Show a progress bar while neighbour lists are built.

    Raises
    ------
    ValueError
        If there are no frames.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        cutoff: float,
        *,
        far_cutoff: float = 0.0,
        dtype: torch.dtype = torch.float32,
        cache: Path | None = None,
        neighbors: str = "auto",
        progress: bool = False,
    ) -> None:
        if not frames:
            raise ValueError("no frames given: a data set needs at least one")
        self.frames = list(frames)
        self.cutoff = cutoff

        def pairs(radius: float, half: bool) -> Pairs:
            table = edge_table(
                self.frames, radius, half=half, cache=cache, neighbors=neighbors, progress=progress
            )
            vectors = edge_vectors(self.frames, table, dtype)
            return Pairs(table.edge_index, vectors, table.counts)

        self.num_atoms = torch.tensor([len(frame.atoms) for frame in self.frames])
        self._edges = pairs(cutoff, half=False)
        self._far_pairs = pairs(far_cutoff, half=True) if far_cutoff else None
        self._first_atom = self.num_atoms.cumsum(0) - self.num_atoms
        self._of_structures = structure_tensors(self.frames, dtype)
        self._of_atoms = atom_tensors(self.frames, dtype)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> LabelledGraph:
        return self.batch([range(len(self))[index]])

    def __getitems__(self, indices: Sequence[int]) -> list[LabelledGraph]:
        """The whole batch, for a DataLoader, as a list that :func:`collate` joins."""
        return [self.batch(indices)]

    @property
    def num_edges(self) -> Tensor:
        """Edges of every frame."""
        return self._edges.counts

    @property
    def num_far_pairs(self) -> Tensor:
        """Far pairs of every frame."""
        return self._far_pairs.counts if self._far_pairs else torch.zeros_like(self.num_atoms)

    @property
    def mean_neighbors(self) -> float:
        """Average number of edges per atom."""
        return float(self.num_edges.sum() / self.num_atoms.sum())

    def batch(self, indices: Sequence[int]) -> LabelledGraph:
        """The frames at ``indices``, in this order, as one graph with labels."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        counts = self.num_atoms[chosen]
        atoms, offset = gather_index(self._first_atom[chosen], counts)
        structures = {name: value[chosen] for name, value in self._of_structures.items()}
        of_atoms = {name: value[atoms] for name, value in self._of_atoms.items()}
        edge_index, edge_vectors = self._edges.gather(chosen, offset)
        far = {}
        if self._far_pairs is not None:
            far = dict(
                zip(
                    ("far_index", "far_vectors"),
                    self._far_pairs.gather(chosen, offset),
                    strict=True,
                )
            )
        graph = AtomGraph(
            atomic_numbers=of_atoms.pop("atomic_numbers"),
            edge_index=edge_index,
            edge_vectors=edge_vectors,
            batch=torch.repeat_interleave(counts),
            charge=structures.pop("charge"),
            spin=structures.pop("spin"),
            cell=structures.pop("cell"),
            positions=of_atoms.pop("positions"),
            **far,
        )
        return LabelledGraph(graph=graph, **of_atoms, **structures)


class Pairs:
    """Edges or far pairs of all frames, from which those of some frames are gathered.

    Parameters
    ----------
    index : Tensor, shape (2, P)
        Both ends, counted within the frame.
    vectors : Tensor, shape (P, 3), Å
    counts : Tensor, shape (F,)
        Number of each frame's.
    """

    def __init__(self, index: Tensor, vectors: Tensor, counts: Tensor) -> None:
        self.index, self.vectors, self.counts = index, vectors, counts
        self._first = counts.cumsum(0) - counts

    def gather(self, frames: Tensor, atom_offset: Tensor) -> tuple[Tensor, Tensor]:
        """Index and vectors of some frames, whose first atoms have the numbers ``atom_offset``."""
        counts = self.counts[frames]
        rows, _ = gather_index(self._first[frames], counts)
        shift = torch.repeat_interleave(atom_offset, counts)
        return self.index.index_select(1, rows) + shift, self.vectors.index_select(0, rows)


def gather_index(first: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of several blocks, one after another, and where each block begins among them.

    Block ``b`` is the rows ``first[b] ... first[b] + counts[b] - 1`` of a long tensor.
    """
    begin = counts.cumsum(0) - counts
    rows = torch.repeat_interleave(first - begin, counts)
    return rows + torch.arange(len(rows)), begin


def structure_tensors(frames: Sequence[Frame], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors with one entry per structure: charge, spin, cell, labels, and which labels exist."""
    states = [electrons(frame.atoms) for frame in frames]
    values = {
        "charge": [state["charge"] for state in states],
        "spin": [state["spin"] for state in states],
        "cell": np.array([frame.atoms.cell.array for frame in frames]),
        "stress": np.array([label(frame, "stress", (3, 3)) for frame in frames]),
        "dipole": np.array([label(frame, "dipole", (3,)) for frame in frames]),
    }
    tensors = {name: torch.as_tensor(value, dtype=dtype) for name, value in values.items()}
    tensors["energy"] = torch.tensor([frame.energy or 0.0 for frame in frames], dtype=torch.float64)
    for target in TARGETS:
        there = [getattr(frame, target) is not None for frame in frames]
        tensors[f"has_{target}"] = torch.tensor(there)
    return tensors


def atom_tensors(frames: Sequence[Frame], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors with one entry per atom: element, position and labels."""
    numbers = np.concatenate([frame.atoms.get_atomic_numbers() for frame in frames])
    values = {
        "positions": [frame.atoms.get_positions() for frame in frames],
        "forces": [label(frame, "forces", (len(frame.atoms), 3)) for frame in frames],
        "charges": [label(frame, "charges", (len(frame.atoms),)) for frame in frames],
    }
    tensors = {
        name: torch.as_tensor(np.concatenate(value), dtype=dtype) for name, value in values.items()
    }
    return {"atomic_numbers": torch.as_tensor(numbers, dtype=torch.int64), **tensors}


def label(frame: Frame, target: str, shape: tuple[int, ...]) -> np.ndarray:
    """A label, zero where the frame has none."""
    value = getattr(frame, target)
    return np.zeros(shape) if value is None else value


def edge_vectors(frames: Sequence[Frame], table: EdgeTable, dtype: torch.dtype) -> Tensor:
    """Edge vectors of all frames (E, 3): differences in float64, rounded afterwards."""
    vectors = torch.empty(table.shifts.shape, dtype=dtype)
    end = 0
    for frame, count in zip(frames, table.counts.tolist(), strict=True):
        begin, end = end, end + count
        edges = NeighborList(table.edge_index[:, begin:end].long(), table.shifts[begin:end].long())
        positions = torch.from_numpy(frame.atoms.get_positions())
        cell = torch.from_numpy(frame.atoms.cell.array)
        vectors[begin:end] = edges.vectors(positions, cell)
    return vectors


def collate(graphs: Sequence[LabelledGraph]) -> LabelledGraph:
    """One labelled graph holding the structures of all, in order."""
    if len(graphs) == 1:
        return graphs[0]
    labels = {
        entry.name: torch.cat([getattr(graph, entry.name) for graph in graphs])
        for entry in fields(LabelledGraph)[1:]
    }
    return LabelledGraph(graph=AtomGraph.join([graph.graph for graph in graphs]), **labels)
