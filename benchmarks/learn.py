"""Potentials made by learn, judged by independent dynamics of the teacher, as a table.

    python benchmarks/learn.py --cases glycol --seeds 0 1 2 --minutes 10 --runs runs \\
        --output docs/benchmarks/learn.json

With ``--steps`` the training is limited by steps instead of minutes, so that other programs on the
machine do not matter. A run that is there already is only judged; with ``--resume`` and more
``--minutes`` it continues first. ``--from`` fine-tunes.
``--table`` prints the rows of the JSON file as a table for the docs. Teachers other than EMT need
their packages (``pip install tblite``); SO3LR is got by ``ase-geomformer models get so3lr``. What
selection and fine-tuning are worth is measured by ``learn_control.py``.
"""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.io import read
from ase.md.langevin import Langevin

from ase_geomformer.accuracy.spread import spread_quality
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.run import learn
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.learning.teacher import Teacher
from ase_geomformer.machine.files import write_text
from ase_geomformer.md.velocities import draw_velocities
from ase_geomformer.runs.folder import RESULT_FILE

STRUCTURES = Path(__file__).resolve().parents[1] / "examples" / "structures"
XTB = Teacher("tblite", {"method": "GFN2-xTB", "verbosity": 0})
FRAMES, BETWEEN_FS, EQUILIBRATION_FS = 20, 50.0, 200.0
SMALL = {
    "cutoff": 4.0,
    "num_features": 16,
    "num_layers": 1,
    "num_heads": 2,
    "num_radial_basis": 8,
    "energy_width": 16,
}


@dataclass(frozen=True)
class Case:
    """A structure, its teacher, settings, and the temperatures to judge at."""

    title: str
    structure: Callable[[], Atoms]
    teacher: Teacher
    settings: LearnSettings
    temperatures_K: tuple[float, ...] = (300.0, 600.0)
    minutes: float = 10.0
    trajectories: int = 5


def glycol() -> Atoms:
    """Ethylene glycol, built from ethane."""
    atoms = molecule("C2H6")
    first, second = (1.43 / atoms.get_distance(c, h) for c, h in ((0, 2), (1, 5)))
    found = Atoms("CC", atoms.positions[:2])
    for carbon, index, factor in ((0, 2, first), (1, 5, second)):
        bond = factor * (atoms.positions[index] - atoms.positions[carbon])
        oxygen = atoms.positions[carbon] + bond
        found += Atoms("O", [oxygen])
        # The hydroxyl's hydrogen at a right angle to the bond.
        across = np.cross(bond, [0.3, 0.9, 0.1])
        found += Atoms("H", [oxygen + 0.25 * bond + 0.92 * across / np.linalg.norm(across)])
    hydrogens = [index for index in range(2, 8) if index not in (2, 5)]
    return found + Atoms("H4", atoms.positions[hydrogens])


def copper_gold() -> Atoms:
    """A cubic cell of Cu3Au."""
    atoms = bulk("Cu", a=3.72, cubic=True)
    atoms.symbols[0] = "Au"
    return atoms


CASES = {
    "emt": Case(
        "Cu3Au, 4 atoms, EMT",
        copper_gold,
        Teacher("emt"),
        LearnSettings(
            target_meV_per_A=100.0,
            max_labels=80,
            rounds=3,
            timestep_fs=4.0,
            students=StudentSettings(members=2, settings=SMALL),
        ),
        temperatures_K=(300.0,),
        minutes=2.0,
        trajectories=20,  # of four atoms each
    ),
    "glycol": Case(
        "ethylene glycol, 10 atoms, GFN2-xTB",
        glycol,
        XTB,
        LearnSettings(max_labels=150, max_temperature_K=600.0),
    ),
    "alanine": Case(
        "alanine dipeptide, 22 atoms, SO3LR",
        lambda: read(STRUCTURES / "alanine_dipeptide.xyz"),
        Teacher("ase_geomformer:PotentialCalculator", {"potential": "so3lr"}),
        LearnSettings(max_labels=400),
        temperatures_K=(300.0,),
        minutes=60.0,
    ),
}


def main() -> None:
    """Learn every case with every seed, and write a row for each."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--structure", help="file of a molecule to learn from GFN2-xTB instead")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, help="as the case says if left out")
    parser.add_argument("--labels", type=int, help="calls of the teacher, as the case says")
    parser.add_argument("--steps", type=int, help="training steps of a round, instead of minutes")
    parser.add_argument("--rounds", type=int, help="rounds, as the case says if left out")
    parser.add_argument("--explore_fs", type=float, help="length of the dynamics of a round")
    parser.add_argument("--from", dest="start", help="potential to fine-tune")
    parser.add_argument("--acceptance_ps", type=float, help="dynamics at constant energy")
    parser.add_argument("--resume", action="store_true", help="continue runs that have ended")
    parser.add_argument("--table", action="store_true", help="print the table, and learn nothing")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--output", type=Path, required=True, help="JSON file")
    options = parser.parse_args()
    rows = json.loads(options.output.read_text()) if options.output.exists() else []
    if options.table:
        print(table(rows))
        return
    for name in options.cases:
        for seed in options.seeds:
            row = learned(name, seed, options)
            if options.resume:
                row["cpu_s"] += sum(one["cpu_s"] for one in rows if one.get("run") == row["run"])
            print(json.dumps(row), flush=True)
            rows.append(row)
            write_text(options.output, json.dumps(rows, indent=1) + "\n")


def learned(name: str, seed: int, options: Namespace) -> dict[str, Any]:
    """Learn a case, and judge the potential."""
    case = CASES[name]
    title, structure = case.title, case.structure()
    if options.structure:
        found = read(options.structure)
        structure = found if isinstance(found, Atoms) else found[-1]
        title = f"{structure.get_chemical_formula()}, {len(structure)} atoms, GFN2-xTB"
    given = {
        "minutes": options.minutes or case.minutes,
        "steps_per_round": options.steps,
        "max_labels": options.labels,
        "rounds": options.rounds,
        "explore_fs": options.explore_fs,
        "acceptance_ps": options.acceptance_ps,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    settings = replace(case.settings, seed=seed, **changes)
    if options.start:
        settings = replace(settings, students=StudentSettings(start_from=options.start))
    kind = options.start or "new"
    output = options.runs / f"{structure.get_chemical_formula()}-{kind}-{seed}"
    before = sum(os.times()[:4])
    if options.resume or not (output / RESULT_FILE).exists():
        learn(structure, case.teacher, settings, output=output, resume=True)
    cpu_s = sum(os.times()[:4]) - before
    result = json.loads((output / RESULT_FILE).read_text())
    taken = (
        "converged", "reason", "wall_time_s", "calls", "labels", "training_steps", "training_s",
        "errors", "notes",
    )  # fmt: skip
    return {
        "case": title,
        "run": output.name,
        "kind": kind,
        "seed": seed,
        "minutes": settings.minutes if options.steps is None else None,
        "cpu_s": cpu_s,
        **{key: result[key] for key in taken},
        "rounds": [
            {"calls": one["calls"], "steps": one["steps"], "need": one["need"], **one["errors"]}
            for one in result["rounds"]
        ],
        "test": [judge(output, structure, case, kelvin) for kelvin in case.temperatures_K],
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """What was reached, case by case and seed by seed, as Markdown."""
    lines = [
        "| case | students | seed | verdict | calls | processor time | wall time | "
        "force error, meV/Å | error / spread |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        test = row["test"]
        errors = " / ".join(f"{one['force_mae_meV_per_A']:.0f}" for one in test)
        kelvins = " / ".join(f"{one['temperature_K']:.0f}" for one in test)
        ratios = " / ".join(map(shown_ratio, test))
        verdict = "reached" if row["converged"] else "not reached"
        budget = "" if row["minutes"] is None else f", {row['minutes']:g} min"
        lines.append(
            f"| {row['case']}{budget} | {row['kind']} | {row['seed']} | {verdict} | "
            f"{row['calls']} | {row['cpu_s'] / 60:.1f} min | {row['wall_time_s'] / 60:.1f} min | "
            f"{errors} at {kelvins} K | {ratios} |"
        )
    return "\n".join(lines)


def shown_ratio(test: dict[str, Any]) -> str:
    """Error over spread of all frames, and the range of the trajectories where that is known."""
    parts = test.get("error_over_spread_by_trajectory")
    span = f" ({min(parts):.2f} to {max(parts):.2f})" if parts else ""
    return f"{test['error_over_spread']:.2f}{span}"


def judge(output: Path, structure: Atoms, case: Case, kelvin: float) -> dict[str, Any]:
    """Errors on independent dynamics of the teacher."""
    frames = dynamics(structure, case.teacher, kelvin, case.trajectories)
    best = CommitteeCalculator([output / "potential", output / "potential"])
    committee = CommitteeCalculator(output / "committee")
    own, mean, errors, spreads = [], [], [], []
    for frame in frames:
        forces = np.asarray(frame.forces)
        own.append(np.abs(best.get_property("forces", frame.atoms) - forces).mean())
        difference = committee.get_property("forces", frame.atoms) - forces
        mean.append(np.abs(difference).mean())
        errors.append(np.linalg.norm(difference, axis=1))
        spreads.append(committee.get_property("forces_spread", frame.atoms))
    quality = spread_quality(np.concatenate(errors), np.concatenate(spreads))
    trajectories = [
        spread_quality(
            np.concatenate(errors[row : row + FRAMES]), np.concatenate(spreads[row : row + FRAMES])
        )
        for row in range(0, len(frames), FRAMES)
    ]
    return {
        "temperature_K": kelvin,
        "frames": len(frames),
        "force_mae_meV_per_A": 1e3 * float(np.mean(own)),
        "committee_mae_meV_per_A": 1e3 * float(np.mean(mean)),
        "mean_force_meV_per_A": 1e3
        * float(np.mean([np.abs(np.asarray(f.forces)).mean() for f in frames])),
        "error_over_spread": quality.calibration,
        "error_over_spread_by_trajectory": [one.calibration for one in trajectories],
        "correlation": quality.correlation,
    }


def dynamics(
    structure: Atoms, teacher: Teacher, kelvin: float, trajectories: int = 5
) -> list[Frame]:
    """Frames of independent Langevin trajectories by the teacher."""
    step_fs = LearnSettings().step_fs(structure)
    frames = []
    for number in range(trajectories):
        rng = np.random.default_rng([1000, number])
        atoms = structure.copy()
        atoms.calc = teacher.make()
        draw_velocities(atoms, kelvin, rng)
        moves = Langevin(
            atoms,
            step_fs * units.fs,
            temperature_K=kelvin,
            friction=0.01 / units.fs,
            rng=rng,
            fixcm=False,
        )
        moves.run(round(EQUILIBRATION_FS / step_fs))
        for _ in range(FRAMES):
            moves.run(round(BETWEEN_FS / step_fs))
            still = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            frames.append(Frame(still, atoms.get_potential_energy(), atoms.get_forces()))
    return frames


if __name__ == "__main__":
    main()
