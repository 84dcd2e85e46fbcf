"""Neighbour lists of all frames of a data set, built once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ase_geomformer.data.frames import Frame, geometry_checksum
from ase_geomformer.graph.structure import geometry
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.neighbors import neighbor_list, pair_list
from ase_geomformer.runs.report import tracked

FORMAT_VERSION = "1"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class EdgeTable:
    """Edges of all frames one after another, int32.

    Attributes
    ----------
    edge_index : Tensor, shape (2, E)
        Receiver and sender, counted within the frame.
    shifts : Tensor, shape (E, 3)
        Lattice shifts.
    counts : Tensor, shape (F,), int64
        Number of edges of each frame.
    """

    edge_index: Tensor
    shifts: Tensor
    counts: Tensor

    def sha256(self) -> str:
        """Checksum of the three tensors."""
        digest = hashlib.sha256()
        for tensor in (self.edge_index, self.shifts, self.counts):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def edge_table(
    frames: Sequence[Frame],
    cutoff: float,
    *,
    cache: Path | None = None,
    half: bool = False,
    neighbors: str = "auto",
    progress: bool = False,
) -> EdgeTable:
    """Neighbour lists of all frames, from the cache folder if they are there.

    With ``half`` each pair is there once, see :func:`ase_geomformer.neighbors.pair_list`. The
    cached file is named after the geometries, the cutoff and the format, so that a list of other
    data is never used; a damaged table is rebuilt, with a warning.
    """
    if cache is None:
        return build(frames, cutoff, half, neighbors, progress)
    key = f"{FORMAT_VERSION} {cutoff!r} {'half ' if half else ''}{geometry_checksum(frames)}"
    path = cache / f"neighbors-{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"
    if path.is_file():
        try:
            return load(path)
        except (ValueError, KeyError, OSError, SafetensorError) as error:
            logger.warning("neighbour lists in %s are damaged (%s); rebuilding them", path, error)
    table = build(frames, cutoff, half, neighbors, progress)
    save(table, path)
    return table


def build(
    frames: Sequence[Frame], cutoff: float, half: bool, neighbors: str, progress: bool
) -> EdgeTable:
    """Search the neighbours of every frame."""
    search = pair_list if half else neighbor_list
    lists = [
        search(*geometry(frame.atoms), cutoff, backend=neighbors)
        for frame in tracked(frames, "neighbour lists", progress)
    ]
    return EdgeTable(
        edge_index=torch.cat([edges.edge_index.int() for edges in lists], dim=1),
        shifts=torch.cat([edges.shifts.int() for edges in lists]),
        counts=torch.tensor([edges.edge_index.shape[1] for edges in lists]),
    )


def save(table: EdgeTable, path: Path) -> None:
    """Write a table with its checksum, atomically."""
    tensors = {"edge_index": table.edge_index, "shifts": table.shifts, "counts": table.counts}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata={"sha256": table.sha256()})


def load(path: Path) -> EdgeTable:
    """Read a table and compare its checksum."""
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata() or {}
        names = ("edge_index", "shifts", "counts")
        table = EdgeTable(*(stored.get_tensor(name) for name in names))
    if metadata.get("sha256") != table.sha256():
        raise ValueError("the checksum differs")
    return table
