"""Structures in the folder of a run to resume, changed by others: one error, at little cost."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.io.trajectory import Trajectory

from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.replicas import files as replica_files
from ase_geomformer.recipes import NEBSettings, RelaxManySettings, RelaxSettings, neb, relax
from ase_geomformer.recipes.lattice.relaxation import relaxed_volumes

SECONDS = 2.0


def copper() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    return atoms


def claim(path: Path) -> None:
    """Make the first frame of a trajectory claim 38 PB of positions."""
    text = json.dumps({"positions.": {"ndarray": [[100, 10**12, 48], "float64", 48]}}).encode()
    with path.open("r+b") as file:
        (table,) = struct.unpack("<q", path.read_bytes()[40:48])
        end = file.seek(0, 2)
        file.write(struct.pack("<q", len(text)) + text)
        file.seek(table)
        file.write(struct.pack("<q", end))


def relaxing(folder: Path, resume: bool) -> Path:
    settings = RelaxSettings(steps=2, fmax=1e-9)
    relax(copper(), EMT(), settings, output=folder, resume=resume, progress=False)
    return folder / "trajectory.traj"


def hopping(folder: Path, resume: bool) -> Path:
    first = fcc111("Cu", (1, 1, 2), vacuum=5.0)
    first.set_constraint(FixAtoms([0]))
    last = first.copy()
    last.positions[1, 2] += 0.5
    settings = NEBSettings(images=3, steps=1, relax=False)
    neb([first, last], EMT(), settings, output=folder, resume=resume, progress=False)
    return folder / "images.traj"


def stretching(folder: Path, resume: bool) -> Path:
    path = folder / "volumes.traj"
    folder.mkdir(exist_ok=True)
    settings = RelaxManySettings(steps=1, fmax=1.0)
    relaxed_volumes(copper(), (0.9, 1.1), as_evaluator(EMT()), settings, path, False)
    return path


def moving(folder: Path, resume: bool) -> Path:
    settings = MDSettings(steps=4 if resume else 2, trajectory_interval=1, seed=1)
    run_md(copper(), EMT(), settings, output=folder, resume=resume, progress=False)
    return folder / "trajectory.traj"


VERBS = [relaxing, hopping, stretching, moving]


@pytest.mark.parametrize("verb", VERBS)
def test_what_claims_more_than_it_has_is_refused(
    verb: Callable[[Path, bool], Path], tmp_path: Path
) -> None:
    path = verb(tmp_path / "run", False)
    claim(path)
    began = time.process_time()
    with pytest.raises(ValueError, match=r"claims shape \(100, 1000000000000, 48\)") as raised:
        verb(tmp_path / "run", True)
    assert "\n" not in str(raised.value)
    assert path.name in str(raised.value)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_trajectory_is_refused(
    verb: Callable[[Path, bool], Path], tmp_path: Path
) -> None:
    path = verb(tmp_path / "run", False)
    path.write_bytes(path.read_bytes()[:20] + b"\xff" * path.stat().st_size)
    with pytest.raises(ValueError, match=path.name):
        verb(tmp_path / "run", True)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda frames: frames[:1], "holds 1 crystals, and the run has 2"),
        (lambda frames: [*frames, bulk("Ag")], "does not hold crystals that this verb"),
        (lambda frames: [other(frames[0]), frames[1]], "holds Ag, not Cu"),
        (lambda frames: [told(frames[0], converged="yes"), frames[1]], "does not hold crystals"),
        (lambda frames: [told(frames[0], reason=5), frames[1]], "does not hold crystals"),
        (lambda frames: [moved(frames[0]), frames[1]], "does not hold crystals"),
    ],
)
def test_crystals_that_were_not_relaxed_here_are_refused(
    change: Callable[[list[Atoms]], list[Atoms]], fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "volumes.traj"
    frames = [told(bulk("Cu", a=a), converged=True, reason="so") for a in (3.5, 3.6)]
    write(path, frames)
    wanted = (bulk("Cu"), (0.9, 1.1), as_evaluator(EMT()), None, path, False)
    assert [one.reason for one in relaxed_volumes(*wanted)] == ["so", "so"]
    write(path, change(frames))
    with pytest.raises(ValueError, match=fault):
        relaxed_volumes(*wanted)


def told(atoms: Atoms, **info: object) -> Atoms:
    atoms = atoms.copy()
    atoms.info.update(info)
    return atoms


def other(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.symbols[:] = "Ag"
    return atoms


def moved(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.positions[0, 0] = np.nan
    return atoms


@pytest.mark.parametrize("step", [-1, 1.5, "1", True, None])
def test_steps_of_a_path_that_are_no_number(step: object, tmp_path: Path) -> None:
    path = hopping(tmp_path / "run", False)
    frames = read(path, ":")
    for frame in frames:
        frame.info["neb_step"] = step
    write(path, frames)
    with pytest.raises(ValueError, match="not a number of steps"):
        hopping(tmp_path / "run", True)


def test_what_stopped_a_replica(tmp_path: Path) -> None:
    with Trajectory(tmp_path / "offending.traj", "w") as file:
        file.write(copper())
    claim(tmp_path / "offending.traj")
    with pytest.raises(ValueError, match="claims shape"):
        replica_files._recall({}, tmp_path, MDSettings())
