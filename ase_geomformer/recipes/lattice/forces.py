"""Forces on many structures of one size, written to disk as they are evaluated."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.cluster import ClusterEvaluator
from ase_geomformer.evaluate import Evaluator
from ase_geomformer.machine.bounded import read_json
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.report import progress_bar

# Chunks at a time for a cluster, whose workers should not wait for each other often.
_CHUNKS_OF_CLUSTERS = 20


class ForceStore:
    """Forces of a list of structures, added to a file chunk by chunk.

    ``NAME.forces`` holds the forces in order as float64, one structure after the other, and
    ``NAME.json`` says which structures and which potential they belong to. Half a chunk, left by
    a process that was killed, is cut off.

    Parameters
    ----------
    path : path
        Folder and name without suffix.
    structures : sequence of ase.Atoms
        All of one number of atoms.
    identity : mapping
        What else the forces depend on: the potential, its precision.

    Raises
    ------
    ValueError
        If the file there holds forces of other structures or of another potential.
    """

    def __init__(self, path: Path, structures: Sequence[Atoms], identity: dict[str, Any]) -> None:
        self.shape = (len(structures), len(structures[0]), 3)
        self.file, self._facts = path.with_suffix(".forces"), path.with_suffix(".json")
        facts = {
            "structures": _structures_checksum(structures),
            "shape": list(self.shape),
            **identity,
        }
        if not self._facts.is_file():
            self.file.unlink(missing_ok=True)
            write_text(self._facts, json.dumps(facts, indent=1) + "\n")
        elif read_json(self._facts) != facts:
            raise ValueError(
                f"the forces in {self.file} are of other structures, or of another potential; "
                "give the settings of the run to resume, or start a new run in another folder"
            )
        self.done = self._whole_records()

    def read(self) -> np.ndarray:
        """Forces (done, atoms, 3) that are there."""
        if not self.file.is_file():
            return np.zeros((0, *self.shape[1:]))
        forces = np.fromfile(self.file).reshape(-1, *self.shape[1:])
        if len(forces) > self.shape[0] or not np.isfinite(forces).all():
            raise ValueError(
                f"{self.file} is damaged: it holds forces that are not finite, or of "
                f"{len(forces)} structures where the run has {self.shape[0]}; remove it to "
                "evaluate them again"
            )
        return forces

    def append(self, forces: np.ndarray) -> None:
        """Add the forces of the next structures; they are on the disk when this returns."""
        with self.file.open("ab") as file:
            file.write(np.ascontiguousarray(forces, dtype=np.float64).tobytes())
            file.flush()
            os.fsync(file.fileno())
        self.done += len(forces)

    def _whole_records(self) -> int:
        """Count the structures that are done, and cut off what is left of one that is not."""
        if not self.file.is_file():
            return 0
        record = 8 * self.shape[1] * 3
        size = self.file.stat().st_size
        if size % record:
            os.truncate(self.file, size - size % record)
        return size // record


def _structures_checksum(structures: Sequence[Atoms]) -> str:
    """A sum that changes with any atom of any structure, beyond 1e-10 Å."""
    total = hashlib.sha256()
    for atoms in structures:
        total.update(np.asarray(atoms.numbers, dtype=np.int64).tobytes())
        for array in (atoms.cell.array, atoms.positions):
            # Adding zero turns -0.0 into 0.0.
            total.update((np.round(array, 10) + 0.0).tobytes())
    return total.hexdigest()


def evaluate_forces(
    evaluator: Evaluator,
    structures: Sequence[Atoms],
    *,
    store: ForceStore | None = None,
    atoms_per_chunk: int = 10_000,
    description: str = "Displacements",
    progress: bool = False,
) -> np.ndarray:
    """Forces (structures, atoms, 3) in eV/Å, evaluated in batches.

    Parameters
    ----------
    evaluator : Evaluator
    structures : sequence of ase.Atoms
        All of one number of atoms.
    store : ForceStore, optional
        Where they are kept after each chunk, and where those of an earlier run are taken from.
    atoms_per_chunk : int
        Atoms in the structures that are evaluated between two writings.
    description : str
        What the progress bar calls them.
    progress : bool
        Show a progress bar.
    """
    if isinstance(evaluator, ClusterEvaluator):
        atoms_per_chunk *= _CHUNKS_OF_CLUSTERS
    size = max(1, atoms_per_chunk // len(structures[0]))
    done = 0 if store is None else store.done
    found = [] if store is None else [store.read()]
    with progress_bar(description, len(structures), progress, done=done) as advance:
        for start in range(done, len(structures), size):
            chunk = structures[start : start + size]
            results = evaluator(chunk, ("forces",))
            forces = np.array([result["forces"] for result in results], dtype=np.float64)
            if not np.isfinite(forces).all():
                raise ValueError(
                    f"the forces on one of the structures {start} to {start + len(chunk) - 1} are "
                    "not finite; the potential may not cover this crystal"
                )
            if store is not None:
                store.append(forces)
            found.append(forces)
            advance(start + len(chunk))
    return np.concatenate(found)
