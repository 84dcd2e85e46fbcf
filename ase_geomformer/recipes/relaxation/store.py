"""Finished relaxations on disk."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator

from ase_geomformer.machine.bounded import parse_json, read_regular_file
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.runs.plain import plain
from ase_geomformer.settings.plain import check_plain

FINISHED_FILE = "finished.jsonl"
# A thousand crystals of a hundred atoms take 30 MB.
FINISHED_BYTES = 2**31
_PLACES = ("cell", "positions")
# Steps and seconds.
MOST = 10**15
# What of a result is a plain number or text.
_PLAIN = (
    "converged", "reason", "wall_time", "steps", "optimizer", "energy", "fmax", "smax_GPa",
    "damage", "space_group_before", "space_group_after",
)  # fmt: skip


@dataclass(frozen=True)
class _Line:
    """What a line of the file holds."""

    index: int
    structure: str
    converged: bool
    reason: str
    wall_time: float
    steps: int
    optimizer: str
    energy: float | None
    fmax: float | None
    smax_GPa: float | None
    damage: str | None
    space_group_before: str | None
    space_group_after: str | None
    history: dict[str, list[float | None]]
    positions: list[list[float]]
    cell: list[list[float]]
    results: dict[str, float | list[float] | list[list[float]]]


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
        content = read_regular_file(path, FINISHED_BYTES)
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = _checked(parse_json(line))
                index = record["index"]
                known = 0 <= index < len(self.structures)
                same = known and record["structure"] == _structure_checksum(self.structures[index])
                result = _result(record, self.structures[index]) if same else None
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(f"line {number} of {path} cannot be read: {error}") from error
            if result is None:
                raise ValueError(
                    f"structure {index} in {path} differs from the one given now; resume with the "
                    "same structures in the same order, or start a new run"
                )
            self.finished[index] = result


def _structure_checksum(atoms: Atoms) -> str:
    """A short text that is the same for structures of the same atoms in the same places."""
    parts = (atoms.numbers, atoms.positions.round(8), atoms.cell.array.round(8), atoms.pbc)
    content = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return hashlib.sha256(content).hexdigest()[:16]


def _checked(record: Any) -> dict[str, Any]:
    """Refuse a line that is not what :meth:`RelaxStore.add` writes."""
    check_plain(record, _Line, "")
    missing = sorted({entry.name for entry in fields(_Line)} - record.keys())
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    for name in ("steps", "wall_time"):
        if not 0 <= record[name] <= MOST:
            raise ValueError(f"{name} is {record[name]}")
    if not record["history"].get("energy_eV"):
        raise ValueError("its history has no energies")
    return dict(record)


def _result(record: dict[str, Any], start: Atoms) -> RelaxResult:
    atoms = start.copy()
    shapes = {
        "cell": (3, 3), "positions": (len(start), 3), "forces": (len(start), 3), "stress": (6,),
        "energy": (), "free_energy": (),
    }  # fmt: skip
    for name, value in {**record["results"], **{n: record[n] for n in _PLACES}}.items():
        if np.shape(value) != shapes.get(name, np.shape(value)):
            raise ValueError(f"{name} has the shape {np.shape(value)}, not {shapes[name]}")
        if name not in all_properties and name not in _PLACES:
            raise ValueError(f"{name[:60]!r} is no result of a calculator")
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
