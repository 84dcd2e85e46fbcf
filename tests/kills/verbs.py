"""Short runs of verbs that can resume, and what they leave, for killing them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read

from tests.kills import learning, trainings
from tests.kills.work import Twice, Verb, counted

# What differs between two runs of the same: times and where files lie.
_VARYING = {
    "wall_time_s", "provenance", "steps_per_second", "ns_per_day", "reason", "seconds",
    "band_batches", "band_evaluations",
}  # fmt: skip


counted(EMT, "calculate")
counted(LennardJones, "calculate")


def argon() -> Atoms:
    return bulk("Ar", "fcc", a=5.3, cubic=True)


def pairs() -> LennardJones:
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)


def copper(rattle: float = 0.1, seed: int = 0) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(rattle, seed=seed)
    return atoms


def plain(value: Any) -> Any:
    """Numbers of a result, without what varies, rounded to what sums may differ by."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items() if key not in _VARYING}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return round(value, 9) if isinstance(value, float) else value


def result(folder: Path) -> Any:
    return plain(json.loads((folder / "result.json").read_text()))


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    if steps != sorted(set(steps)):
        raise Twice(f"the log has the steps {steps}")
    return [{k: v for k, v in row.items() if k not in _VARYING} for row in rows]


def md(trajectory_format: str) -> Verb:
    from ase_geomformer.md import MDSettings, run_md
    from ase_geomformer.md.analysis import load_frames

    settings = MDSettings(
        temperature_K=30.0, timestep_fs=5.0, steps=12, log_interval=1, trajectory_interval=2,
        checkpoint_interval=4, trajectory_format=trajectory_format,
    )  # fmt: skip

    def run(folder: Path) -> None:
        run_md(argon(), pairs(), settings, output=folder, resume=True, progress=False)

    def outcome(folder: Path) -> Any:
        frames = load_frames(folder)
        return log_of(folder), np.asarray(frames.positions).tobytes(), result(folder)

    # Four steps, and three to begin again.
    return Verb(run, outcome, 7)


def replicas() -> Verb:
    from ase_geomformer.md import MDSettings
    from ase_geomformer.md.replicas import ReplicaSettings, run_replicas

    settings = MDSettings(
        temperature_K=30.0, timestep_fs=5.0, steps=6, log_interval=1, checkpoint_interval=3
    )

    def run(folder: Path) -> None:
        run_replicas(
            argon(), pairs(), settings, ReplicaSettings(copies=2),
            output=folder, resume=True, progress=False,
        )  # fmt: skip

    def outcome(folder: Path) -> Any:
        return [log_of(folder / f"replica_{index}") for index in range(2)], result(folder)

    # Three steps of two replicas, and three to begin each again.
    return Verb(run, outcome, 12)


def relax() -> Verb:
    from ase_geomformer.recipes import RelaxSettings
    from ase_geomformer.recipes import relax as recipe

    def run(folder: Path) -> None:
        settings = RelaxSettings(fmax=0.05)
        recipe(copper(), EMT(), settings, output=folder, resume=True, progress=False)

    # Every step is kept.
    return Verb(run, result, 3)


def relax_many() -> Verb:
    from ase_geomformer.recipes import RelaxManySettings
    from ase_geomformer.recipes import relax_many as recipe

    def run(folder: Path) -> None:
        given = [copper(seed=seed) for seed in range(3)]
        settings = RelaxManySettings(fmax=0.05)
        recipe(given, EMT(), settings, output=folder, resume=True, progress=False)

    # The structures that move together: all three.
    return Verb(run, result, 24)


def phonons() -> Verb:
    from ase_geomformer.recipes import PhononSettings
    from ase_geomformer.recipes import phonons as recipe

    settings = PhononSettings(supercell=[2, 2, 2], fmax=1e-3, mesh=[2, 2, 2], band_points=3)

    def run(folder: Path) -> None:
        recipe(argon(), pairs(), settings, output=folder, resume=True, progress=False)

    # All, as the forces of one displacement are the only checkpoint.
    return Verb(run, result, 4)


def conductivity() -> Verb:
    from ase_geomformer.recipes import ConductivitySettings, thermal_conductivity

    settings = ConductivitySettings(
        supercell=[1, 1, 1], phonon_supercell=[1, 1, 1], fmax=1e-3, mesh=[2, 2, 2],
        pair_cutoff_A=3.8, temperature_min_K=50.0, temperature_max_K=50.0,
    )  # fmt: skip

    def run(folder: Path) -> None:
        thermal_conductivity(argon(), pairs(), settings, output=folder, resume=True, progress=False)

    # All, as two displacements are one checkpoint.
    return Verb(run, result, 10)


def qha() -> Verb:
    from ase_geomformer.recipes import PhononSettings, QHASettings
    from ase_geomformer.recipes import qha as recipe

    phonon = PhononSettings(
        supercell=[1, 1, 1], fmax=1e-3, mesh=[2, 2, 2], band_points=3, imaginary="ignore",
        temperature_max_K=40.0, temperature_step_K=10.0,
    )  # fmt: skip
    settings = QHASettings(volumes=5, phonons=phonon)

    def run(folder: Path) -> None:
        recipe(argon(), pairs(), settings, output=folder, resume=True, progress=False)

    # One evaluation of each of eight volumes, three of them for the Grüneisen parameters: they are
    # relaxed together, their displacements are one checkpoint, and every start takes the energies.
    return Verb(run, result, 8)


def neb() -> Verb:
    from ase_geomformer.recipes import NEBSettings
    from ase_geomformer.recipes import neb as recipe

    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    slab.set_constraint(FixAtoms(range(4)))
    first, last = slab.copy(), slab.copy()
    top = slab.positions[slab.get_tags() == 1]
    low, high = top[0], top[1]
    for structure, place in ((first, (low + high) / 2), (last, (low + top[2]) / 2)):
        structure.append("Cu")
        structure.positions[-1] = place + [0.0, 0.6, 1.9]
    settings = NEBSettings(images=5, fmax=0.3, ends_fmax=0.1, checkpoint_interval=2, steps=20)

    def run(folder: Path) -> None:
        recipe([first, last], EMT(), settings, output=folder, resume=True, progress=False)

    # Two steps of three images, and the relaxed ends or the modes of the saddle point.
    return Verb(run, result, 110)


def ipi() -> Verb:
    from ase_geomformer.engines.ipi import PathIntegralSettings, path_integrals

    settings = PathIntegralSettings(
        beads=2, temperature_K=30.0, timestep_fs=2.0, steps=6, log_interval=1,
        trajectory_interval=2, checkpoint_interval=3, all_beads=True,
    )  # fmt: skip

    def run(folder: Path) -> None:
        path_integrals(argon(), pairs(), settings, output=folder, resume=True, progress=False)

    def outcome(folder: Path) -> Any:
        files = ("trajectory.traj", "beads.traj")
        frames = [read(folder / name, index=":") for name in files]
        places = [[atoms.positions.tolist() for atoms in each] for each in frames]
        # ASE's Lennard-Jones sums in the order of its neighbour list, which a resumed run makes
        # anew.
        log = [{name: float(value) for name, value in row.items()} for row in log_of(folder)]
        return plain(log), [np.round(each, 9).tolist() for each in places]

    # Three steps of two beads, and what i-PI evaluates before its first step, at each checkpoint.
    return Verb(run, outcome, 12)


VERBS: dict[str, Callable[[], Verb]] = {
    "md-traj": lambda: md("traj"),
    "md-h5md": lambda: md("h5md"),
    "md-extxyz": lambda: md("extxyz"),
    "replicas": replicas,
    "relax": relax,
    "relax-many": relax_many,
    "phonons": phonons,
    "conductivity": conductivity,
    "qha": qha,
    "neb": neb,
    "ipi": ipi,
    "train": trainings.train,
    "finetune": trainings.finetune,
    "learn": learning.learn,
}
