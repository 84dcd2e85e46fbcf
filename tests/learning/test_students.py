"""Weights of students come back to the bit; files of others, and damaged ones, are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from safetensors.torch import load_file, save_file

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.side_by_side import Allowance
from ase_geomformer.learning.student import Student
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.learning.students import Students, steady_rate
from ase_geomformer.registry import load_potential

TINY = {"cutoff": 4.0, "num_features": 16, "num_layers": 1, "num_heads": 2, "degrees": [1],
        "num_radial_basis": 8, "energy_width": 8}  # fmt: skip


def students(width: int = 16) -> Students:
    frames = []
    for seed in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        frames.append(Frame(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()))
    settings = StudentSettings(members=2, settings={**TINY, "num_features": width})
    return Students(frames, settings, seed=width)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    students().save(tmp_path / "students.safetensors")
    return tmp_path / "students.safetensors"


def test_fine_tuning_starts_from_the_potential() -> None:
    name, frames = "so3krates-rmd17-ethanol", []
    for seed in range(3):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        frames.append(Frame(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()))
    found = Students(frames, StudentSettings(members=2, start_from=name), seed=0)
    known = PotentialCalculator(name, dtype="float32").get_property("forces", frames[0].atoms)
    for potential in found.potentials(frames):
        assert potential.confidence is None
        calculator = PotentialCalculator(potential)
        forces = calculator.get_property("forces", frames[0].atoms)
        error = np.linalg.norm(forces - known) / np.linalg.norm(known)
        assert 1e-3 < error < 0.2  # of the noise
        # EMT counts energies from another zero.
        energy = calculator.get_property("energy", frames[0].atoms)
        assert energy == pytest.approx(frames[0].energy, abs=2.0)
    before = [student.potential.get_parameter(moved(student)).clone() for student in found.members]
    found.train(frames, Allowance(steps=2), steady_rate)
    after = [student.potential.get_parameter(moved(student)) for student in found.members]
    given = load_potential(name).get_parameter(moved(found.members[0])).float()
    for weights in before:
        assert ((weights - given).std() / given.std()).item() == pytest.approx(0.05, rel=0.1)
    assert ((before[0] - before[1]).std() / given.std()).item() == pytest.approx(0.07, rel=0.1)
    assert not torch.equal(after[0], before[0])
    assert found.settings.rate == 2e-3 < StudentSettings().rate


def moved(student: Student) -> str:
    """Name of its first matrix."""
    return next(name for name, p in student.potential.named_parameters() if p.ndim == 2)


def test_a_potential_to_fine_tune_has_its_own_settings() -> None:
    with pytest.raises(ValueError, match="exclude one another"):
        StudentSettings(start_from="so3lr", settings={"cutoff": 4.0})


def rewritten(path: Path, change: Callable[[dict[str, torch.Tensor]], Any], steps: str) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"steps": steps})


def test_they_come_back_to_the_bit(path: Path) -> None:
    first, again = students(), students()
    with torch.no_grad():
        for value in again.members[1].potential.parameters():
            value.zero_()
    again.load(path)
    for one, other in zip(first.members, again.members, strict=True):
        for mine, theirs in zip(
            one.potential.parameters(), other.potential.parameters(), strict=True
        ):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (lambda tensors: None, "-1"),
        (lambda tensors: None, "1.5"),
        (lambda tensors: tensors.pop(next(iter(tensors))), "1"),
        (lambda tensors: tensors.update({name: t.double() for name, t in tensors.items()}), "1"),
        (lambda tensors: tensors.update({name: t[..., None] for name, t in tensors.items()}), "1"),
    ],
    ids=["negative", "fraction", "missing", "dtype", "shape"],
)
def test_changed_files_are_refused(
    change: Callable[[dict[str, torch.Tensor]], Any], steps: str, path: Path
) -> None:
    rewritten(path, change, steps)
    with pytest.raises(ValueError, match="does not hold these students") as raised:
        students().load(path)
    assert "\n" not in str(raised.value)


def test_damaged_files_and_those_of_others_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="does not hold these students"):
        students(24).load(path)
    save_file(load_file(path), path)
    with pytest.raises(ValueError, match="does not hold these students: it has no 'steps'"):
        students().load(path)
    for content in (b"", b"\xff" * 100, path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="does not hold these students"):
            students().load(path)
