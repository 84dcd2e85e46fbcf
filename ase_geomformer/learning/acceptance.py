"""Acceptance: dynamics with the potential, its self-test, and labels of structures from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import committee_errors, predict
from ase_geomformer.learning.exploration import Explored
from ase_geomformer.learning.initial import Labels
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.md import run_md
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.potential import Potential
from ase_geomformer.trust import selftest

# The shortest dynamics that a drift is taken from, ps.
SHORTEST_PS = 0.2


@dataclass(frozen=True, eq=False)
class Acceptance:
    """What the potential did in the end.

    Attributes
    ----------
    drift_meV_per_atom_per_ps : float or None
        Slope of the total energy at constant energy; None if the run stopped early.
    nve_ps : float
        Length of that run.
    walkers, stopped : int
        Walkers of the dynamics at both temperatures, and those that a guard stopped.
    selftest : str
        What failed; empty if nothing did.
    errors : dict
        Of structures from the dynamics that were labelled, in meV/Å: ``use_meV_per_A`` and
        ``hot_meV_per_A`` of the potential; ``calibration`` of the students.
    frames : list of Frame
        These structures.
    """

    drift_meV_per_atom_per_ps: float | None
    nve_ps: float
    walkers: int
    stopped: int
    selftest: str
    errors: dict[str, Any] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)


def accept(
    best: int,
    potentials: Sequence[Potential],
    structure: Atoms,
    explored: Explored,
    labels: Labels,
    settings: LearnSettings,
    *,
    number: int,
    seconds: float | None,
    factor: float,
) -> Acceptance:
    """Try the best of the students.

    Parameters
    ----------
    best : int
        Which of them it is.
    potentials : sequence of Potential
        All students.
    structure : ase.Atoms
        With the constraints of the dynamics.
    explored : Explored
        Frames of dynamics with the best student.
    labels : callable
        Labels structures.
    settings : LearnSettings
    number : int
        How many of the frames are labelled.
    seconds : float or None
        Time for the dynamics at constant energy; as long as the settings say if left out.
    factor : float
        Calibration of the spread.
    """
    potential = potentials[best]
    drift, picoseconds = constant_energy(potential, structure, settings, seconds)
    test = selftest(potential, structure)
    rng = np.random.default_rng([settings.seed, 999])
    order = rng.permutation(len(explored.frames)).tolist()[:number]
    structures = [explored.frames[index] for index in order]
    predicted = predict(potentials, structures)
    answers = labels(structures, "acceptance")
    frames = [frame for frame in answers if frame is not None]
    rows = [row for row, frame in enumerate(answers) if frame is not None]
    errors: dict[str, Any] = {}
    for name, kelvin in (("use", settings.temperature_K), ("hot", settings.hot_K)):
        here = [row for row in rows if explored.temperatures_K[order[row]] == kelvin]
        if here:
            found = committee_errors(
                [one for row in here if (one := answers[row]) is not None],
                [predicted[row] for row in here],
            )
            errors[f"{name}_meV_per_A"] = found.member_mae_meV_per_A[best]
            errors[f"{name}_committee_meV_per_A"] = found.mae_meV_per_A
            errors[f"{name}_frames"] = len(here)
    if frames:
        told = [predicted[row] for row in rows]
        every = committee_errors(frames, told, settings.target_meV_per_A, factor)
        errors |= {
            "energy_meV_per_atom": every.energy_mae_meV_per_atom,
            "calibration": every.calibration,
            "ratio": every.calibration / factor,
            "exceedance": every.exceedance,
        }
    return Acceptance(
        drift, picoseconds, explored.walkers, explored.stopped, test.problem, errors, frames
    )


def constant_energy(
    potential: Potential, atoms: Atoms, settings: LearnSettings, seconds: float | None
) -> tuple[float | None, float]:
    """Drift of the total energy, meV/atom/ps, and the length of the run, ps."""
    calculator = PotentialCalculator(potential)
    step_fs = settings.step_fs(atoms)
    picoseconds = settings.acceptance_ps
    if seconds is not None:
        picoseconds = min(picoseconds, seconds / _step_seconds(calculator, atoms) * step_fs / 1e3)
    picoseconds = max(picoseconds, min(SHORTEST_PS, settings.acceptance_ps))
    steps = max(20, round(1e3 * picoseconds / step_fs))
    every = max(1, steps // 1000)
    nve = MDSettings(
        ensemble="nve",
        # Half of it goes into the potential energy.
        temperature_K=2.0 * settings.temperature_K,
        timestep_fs=step_fs,
        steps=steps,
        seed=settings.seed,
        log_interval=every,
        equilibration_steps=(steps // 10) // every * every,
    )
    result = run_md(atoms, calculator, nve, progress=False)
    drift = result.drift_meV_per_atom_per_ps if result.completed else None
    return drift, result.steps * step_fs / 1e3


def _step_seconds(calculator: PotentialCalculator, atoms: Atoms) -> float:
    """Time of a step, the integrator included."""
    moved = atoms.copy()
    moved.calc = calculator
    moved.get_forces()
    started = time.perf_counter()
    for _ in range(3):
        moved.positions[0, 0] += 1e-4
        moved.get_forces()
    return 1.2 * (time.perf_counter() - started) / 3
