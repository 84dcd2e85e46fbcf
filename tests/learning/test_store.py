"""The label store: exact, append-only, and whole after a kill at any byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import read, write

from ase_geomformer.learning.answers import Answer, ask
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.store import LabelStore

TEACHER = {"name": "emt", "arguments": {}}


def test_labels_come_back_to_the_last_bit(alloys: list[Atoms], tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.jsonl", TEACHER)
    for atoms in alloys:
        store.add(atoms, ask(EMT(), atoms), "given")
    again = LabelStore(tmp_path / "labels.jsonl", TEACHER)
    assert len(again) == len(alloys) == again.calls
    for atoms, frame in zip(alloys, again.frames, strict=True):
        atoms.calc = EMT()
        assert frame.energy == atoms.get_potential_energy()
        assert frame.forces is not None
        assert (frame.forces == atoms.get_forces()).all()
        assert frame.stress is not None
        np.testing.assert_array_equal(frame.stress, atoms.get_stress(voigt=False))
        assert (frame.atoms.positions == atoms.positions).all()


def test_the_key_sees_what_changes_the_label_and_nothing_else(tmp_path: Path) -> None:
    water = molecule("H2O")
    moved, charged, boxed, swapped = (water.copy() for _ in range(4))
    moved.positions[0, 0] += 1e-6
    charged.info["charge"] = 1
    boxed.set_cell([9, 9, 9])
    swapped.numbers[1] = 2
    keys = {structure_key(atoms) for atoms in (water, moved, charged, swapped)}
    assert len(keys) == 4
    assert structure_key(boxed) == structure_key(water)  # empty space around a molecule
    water.info["comment"] = "from elsewhere"
    write(tmp_path / "water.xyz", water, format="extxyz")
    assert structure_key(read(tmp_path / "water.xyz")) == structure_key(water)


def test_a_kill_at_any_byte_leaves_whole_labels(alloys: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    store = LabelStore(path, TEACHER)
    sizes = [0]
    for atoms in alloys[:3]:
        store.add(atoms, ask(EMT(), atoms))
        sizes.append(path.stat().st_size)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), *sizes, *(size - 1 for size in sizes[1:])]:
        path.write_bytes(whole[:length])
        found = LabelStore(path, TEACHER)
        assert len(found) == sum(size <= length for size in sizes[1:])
        # What follows is appended to whole lines.
        for atoms in alloys[:3]:
            if found.frame(structure_key(atoms)) is None:
                found.add(atoms, ask(EMT(), atoms))
        assert len(LabelStore(path, TEACHER)) == 3


def test_a_label_is_not_replaced(alloys: list[Atoms], tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.jsonl")
    store.add(alloys[0], ask(EMT(), alloys[0]))
    with pytest.raises(ValueError, match="has a label already"):
        store.add(alloys[0], ask(EMT(), alloys[0]))


def test_labels_of_two_teachers_do_not_mix(alloys: list[Atoms], tmp_path: Path) -> None:
    LabelStore(tmp_path / "labels.jsonl", TEACHER).add(alloys[0], ask(EMT(), alloys[0]))
    with pytest.raises(ValueError, match="labels of the teacher .*emt.*not of .*tblite"):
        LabelStore(tmp_path / "labels.jsonl", {"name": "tblite"})


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b'{"format": 7}\n', "its format is 7"),
        (b"# a file of another kind\n", "line 1"),
        (b'{"format": 1, "teacher": {}}\n[1, 2]\n', "line 2 is not a JSON object"),
        (b'{"format": 1, "teacher": {}}\n{"key": "a"}\n', "origin"),
    ],
)
def test_other_files_are_refused_and_left_as_they_are(
    tmp_path: Path, content: bytes, error: str
) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=error):
        LabelStore(path)
    assert path.read_bytes() == content


def test_two_failures_set_a_structure_aside(alloys: list[Atoms], tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.jsonl")
    key = structure_key(alloys[0])
    for left in (1, 0):
        assert store.add(alloys[0], Answer(reason="no convergence")) is None
        store = LabelStore(tmp_path / "labels.jsonl")
        assert store.attempts_left(key) == left
    assert store.set_aside == [key]
    assert [failure.reason for failure in store.failures] == ["no convergence"] * 2
