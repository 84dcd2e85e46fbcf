"""The label store: every answer of a teacher, kept for good."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.answers import Answer, structure_from_plain, structure_to_plain
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.machine.bounded import check_regular, parse_json
from ase_geomformer.machine.files import expanded
from ase_geomformer.settings.plain import check_plain

FORMAT = 1
# Bytes of one label: a million atoms take a few hundred MB.
LINE_BYTES = 2**30
# A structure whose calls failed this often is set aside.
MOST_ATTEMPTS = 2


@dataclass(frozen=True)
class Failure:
    """A call of the teacher that failed: when asked for which structure, and why."""

    key: str
    origin: str
    reason: str


@dataclass(frozen=True)
class _Call:
    """What is text or one number in a record."""

    key: str
    origin: str
    seconds: float
    energy: float
    failed: str
    info: dict[str, str | int | float]


class LabelStore:
    """Labels and failed calls in one file, in the order in which they came.

    The file holds one JSON object per line: first the teacher, then one for each call. A line is
    appended at once and brought to the disk before :meth:`add` returns. A line without its end,
    which a killed process may leave, is removed when the store is opened. One process at a time
    may write, see :mod:`ase_geomformer.runs.lock`.

    Parameters
    ----------
    path : path
        Made with the first answer.
    teacher : mapping, optional
        What describes the teacher; labels of two teachers do not mix.

    Raises
    ------
    ValueError
        If the file is no label store, is damaged, or holds labels of another teacher.
    """

    def __init__(
        self, path: str | os.PathLike[str], teacher: Mapping[str, Any] | None = None
    ) -> None:
        self.path = expanded(path)
        self.teacher = dict(teacher or {})
        self._frames: dict[str, Frame] = {}
        self._failures: dict[str, list[Failure]] = {}
        self.seconds: list[float] = []
        self._size = 0
        if self.path.exists():
            self._read()

    def __len__(self) -> int:
        """Number of labels."""
        return len(self._frames)

    @property
    def calls(self) -> int:
        """Number of calls of the teacher, failed ones included."""
        return len(self.seconds)

    @property
    def structures(self) -> int:
        """Number of structures that the teacher was asked for."""
        return len(self._frames.keys() | self._failures.keys())

    @property
    def median_seconds(self) -> float | None:
        """Median wall time of a call; None before the first."""
        return float(np.median(self.seconds)) if self.seconds else None

    @property
    def frames(self) -> list[Frame]:
        """All labelled structures, in the order in which they came."""
        return list(self._frames.values())

    @property
    def failures(self) -> list[Failure]:
        """All failed calls."""
        return [failure for found in self._failures.values() for failure in found]

    @property
    def set_aside(self) -> list[str]:
        """Keys of the structures that are not tried any more."""
        return [
            key
            for key, found in self._failures.items()
            if key not in self._frames and len(found) >= MOST_ATTEMPTS
        ]

    def frame(self, key: str) -> Frame | None:
        """The labelled structure of this key, if there is one."""
        return self._frames.get(key)

    def attempts_left(self, key: str) -> int:
        """How often the teacher may still be asked for a structure without label."""
        return max(0, MOST_ATTEMPTS - len(self._failures.get(key, ())))

    def add(self, atoms: Atoms, answer: Answer, origin: str = "") -> Frame | None:
        """Keep an answer; the labelled structure, or None if the call failed.

        Raises
        ------
        ValueError
            If the structure has a label already.
        OSError
            If the file cannot be written; the store is then as it was.
        """
        key = structure_key(atoms)
        if key in self._frames:
            raise ValueError(f"structure {key} has a label already")
        record = {
            "key": key,
            "origin": origin,
            "seconds": answer.seconds,
            **structure_to_plain(atoms),
        }
        if answer.reason:
            record["failed"] = answer.reason
        else:
            assert answer.forces is not None
            record["energy"] = answer.energy
            record["forces"] = answer.forces.tolist()
            record["stress"] = None if answer.stress is None else answer.stress.tolist()
        if not self._size:
            self._append({"format": FORMAT, "teacher": self.teacher})
        self._append(record)
        self._take(record, self.calls)
        return self._frames.get(key)

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, allow_nan=False, ensure_ascii=True).encode() + b"\n"
        new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            try:
                _write_all(file.fileno(), line)
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, self._size)
                raise
        if new:
            _sync_folder(self.path.parent)
        self._size += len(line)

    def _take(self, record: Mapping[str, Any], index: int) -> None:
        """Hold a record in memory."""
        check_plain(record, _Call, "")
        key, origin = record["key"], record["origin"]
        if record["seconds"] < 0:
            raise ValueError(f"seconds is {record['seconds']}")
        self.seconds.append(float(record["seconds"]))
        if "failed" in record:
            self._failures.setdefault(key, []).append(Failure(key, origin, record["failed"]))
            return
        count = len(_numbers(record, "numbers", (-1,), "iu"))
        for name, shape in (("positions", (count, 3)), ("cell", (3, 3))):
            _numbers(record, name, shape)
        _numbers(record, "pbc", (3,), "b")
        if "magnetic_moments" in record:
            _numbers(record, "magnetic_moments", (count,))
        atoms = structure_from_plain(record)
        if structure_key(atoms) != key:
            raise ValueError(f"the structure of {key} is another one than was labelled")
        atoms.info["origin"] = origin
        self._frames[key] = Frame(
            atoms,
            energy=float(record["energy"]),
            forces=_numbers(record, "forces", (count, 3)),
            stress=None if record["stress"] is None else _numbers(record, "stress", (3, 3)),
            source=str(self.path),
            index=index,
        )

    def _read(self) -> None:
        """Read all records; remove the beginning of one that a killed process left."""
        try:
            check_regular(self.path)
            for number, record in enumerate(self._records()):
                if number == 0:
                    self._check_teacher(record)
                    continue
                self._take(record, number - 1)
        except (ValueError, KeyError, TypeError, OverflowError, IndexError) as error:
            raise ValueError(f"the label store {self.path} cannot be read: {error}") from error
        if self.path.stat().st_size > self._size:
            os.truncate(self.path, self._size)

    def _records(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES + 1), b""), 1):
                if len(line) > LINE_BYTES:
                    raise ValueError(f"line {number} has more than {LINE_BYTES // 2**20} MB")
                if not line.endswith(b"\n"):
                    return
                try:
                    record = parse_json(line)
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from error
                if not isinstance(record, dict):
                    raise ValueError(f"line {number} is not a JSON object")
                self._size += len(line)
                yield record

    def _check_teacher(self, header: Mapping[str, Any]) -> None:
        if header.get("format") != FORMAT or isinstance(header["format"], bool):
            raise ValueError(f"its format is {header.get('format')!r}, and {FORMAT} is read")
        stored = header["teacher"]
        check_plain(stored, dict[str, Any], "teacher")
        if self.teacher and stored != json.loads(json.dumps(self.teacher)):
            raise ValueError(
                f"it holds labels of the teacher {stored}, not of {self.teacher}; "
                "give the same teacher, or another folder"
            )
        self.teacher = dict(stored)


def _numbers(
    record: Mapping[str, Any], name: str, shape: tuple[int, ...], kinds: str = "iuf"
) -> np.ndarray:
    """An array of a record, of a shape in which -1 is any length."""
    found = np.array(record[name])
    fits = len(found.shape) == len(shape) and all(
        wanted in (-1, there) for wanted, there in zip(shape, found.shape, strict=True)
    )
    empty = found.size == 0
    if not fits or (found.dtype.kind not in kinds and not empty):
        raise ValueError(f"{name} is {str(record[name])[:60]}, not numbers of shape {shape}")
    return found.astype(np.float64) if kinds == "iuf" else found


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    """Bring the name of a new file to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
