"""Finished relaxations on disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.runs.plain import plain

# What of a result is a plain number or text.
_PLAIN = (
    "converged", "reason", "wall_time", "steps", "optimizer", "energy", "fmax", "smax_GPa",
    "damage", "space_group_before", "space_group_after",
)  # fmt: skip


class RelaxStore:
    """A file with a line of JSON for each finished structure.

    Half a line, left by a process that was killed, is cut off when the file is read.

    Parameters
    ----------
    path : Path or None
        Nothing is kept without one.
    structures : list of ase.Atoms
        What is relaxed; a line counts for the structure that it was made of.
    """

    def __init__(self, path: Path | None, structures: list[Atoms]) -> None:
        self.path, self.structures = path, structures
        self.finished: dict[int, RelaxResult] = {}
        if path is not None and path.is_file():
            self._read(path)

    def add(self, index: int, result: RelaxResult) -> None:
        """Keep the result of a structure."""
        self.finished[index] = result
        if self.path is None:
            return
        record = {
            "index": index,
            "structure": _structure_checksum(self.structures[index]),
            **{name: getattr(result, name) for name in _PLAIN},
            "history": result.history,
            "positions": result.atoms.positions,
            "cell": result.atoms.cell.array,
            # A structure that was set aside has none.
            "results": getattr(result.atoms.calc, "results", {}),
        }
        line = json.dumps(plain(record), ensure_ascii=False) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for line in whole.decode("utf-8").splitlines():
            record = json.loads(line)
            index = record["index"]
            if index >= len(self.structures) or record["structure"] != _structure_checksum(
                self.structures[index]
            ):
                raise ValueError(
                    f"structure {index} in {path} differs from the one given now; resume with the "
                    "same structures in the same order, or start a new run"
                )
            self.finished[index] = _result(record, self.structures[index])


def _structure_checksum(atoms: Atoms) -> str:
    """A short text that is the same for structures of the same atoms in the same places."""
    parts = (atoms.numbers, atoms.positions.round(8), atoms.cell.array.round(8), atoms.pbc)
    content = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return hashlib.sha256(content).hexdigest()[:16]


def _result(record: dict[str, Any], start: Atoms) -> RelaxResult:
    atoms = start.copy()
    atoms.set_cell(record["cell"])
    atoms.set_positions(record["positions"], apply_constraint=False)
    results = {name: np.array(value, dtype=float) for name, value in record["results"].items()}
    atoms.calc = SinglePointCalculator(
        atoms, **{name: v if v.ndim else float(v) for name, v in results.items()}
    )
    numbers = {name: record[name] for name in _PLAIN}
    for name in ("energy", "fmax"):
        numbers[name] = np.nan if numbers[name] is None else numbers[name]
    history = {name: np.array(v, dtype=float) for name, v in record["history"].items()}
    return RelaxResult(atoms=atoms, history=history, **numbers)
