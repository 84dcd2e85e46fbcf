"""Acceptance: dynamics with the potential, its self-test, and labels of structures from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.exploration import Explored, guards_at
from ase_geomformer.learning.initial import Labels
from ase_geomformer.learning.rounds import WALKERS, label_round
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.walkers import affordable_fs, walk
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.potential import Potential
from ase_geomformer.trust import selftest

# The shortest dynamics at constant energy, of all walkers together, ps.
SHORTEST_PS = 1.0
# Points of the total energy in each walker's drift.
POINTS = 100


@dataclass(frozen=True, eq=False)
class Acceptance:
    """What the potential did in the end.

    Attributes
    ----------
    drift_meV_per_atom_per_ps : float
        Largest drift of the total energy of any walker at constant energy; NaN if one stopped
        early or there was none.
    nve_ps : float
        Length of these dynamics, of all walkers together.
    walkers, stopped : int
        Walkers of all dynamics, and those that a guard stopped.
    selftest : str
        What failed; empty if nothing did.
    errors : dict
        Of structures from the dynamics at both temperatures that were labelled, see
        :func:`ase_geomformer.learning.unseen.unseen_errors`.
    frames : list of Frame
        These structures.
    """

    drift_meV_per_atom_per_ps: float
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
    frames, errors = label_round(
        explored,
        potentials,
        labels,
        number=number,
        settings=settings,
        factor=factor,
        seed=[settings.seed, 999],
        origin="acceptance",
        member=best,
    )
    drift, picoseconds, stopped = constant_energy(
        potentials[best], starts_of(explored, structure, settings), settings, seconds
    )
    return Acceptance(
        drift_meV_per_atom_per_ps=drift,
        nve_ps=picoseconds,
        walkers=explored.walkers + WALKERS,
        stopped=explored.stopped + stopped,
        selftest=selftest(potentials[best], structure).problem,
        errors=errors,
        frames=frames,
    )


def starts_of(explored: Explored, structure: Atoms, settings: LearnSettings) -> list[Atoms]:
    """Frames at the temperature of use, with the constraints of the structure."""
    own = [
        atoms
        for atoms, kelvin in zip(explored.frames, explored.temperatures_K, strict=True)
        if kelvin == settings.temperature_K
    ]
    starts = [own[int(i)].copy() for i in np.linspace(0, len(own) - 1, WALKERS)] if own else []
    for atoms in starts:
        atoms.set_constraint(structure.constraints)
    return starts


def constant_energy(
    potential: Potential, starts: Sequence[Atoms], settings: LearnSettings, seconds: float | None
) -> tuple[float, float, int]:
    """Dynamics at constant energy from each start; they share the length that the settings ask for.

    Several short trajectories see more of the structures than a long one, and cost less, as their
    forces are evaluated together. Starts of dynamics at the temperature of use keep that
    temperature with new velocities.

    Returns
    -------
    float, float, int
        Largest drift of any walker, meV/atom/ps, NaN if one stopped early or there are no starts;
        length of all dynamics together, ps; walkers that a guard stopped.
    """
    if not starts:
        return float("nan"), 0.0, 0
    step_fs = settings.step_fs(starts[0])
    each_fs = 1e3 * settings.acceptance_ps / len(starts)
    if seconds is not None:
        shortest_fs = 1e3 * SHORTEST_PS / len(starts)
        possible = max(affordable_fs(potential, starts, step_fs, seconds), shortest_fs)
        each_fs = min(each_fs, possible)
    every = max(1, round(each_fs / step_fs / POINTS))
    steps = max(3, round(each_fs / step_fs / every)) * every
    rng = np.random.default_rng([settings.seed, 998])
    dynamics = [
        MDSettings(
            ensemble="nve",
            temperature_K=settings.temperature_K,
            timestep_fs=step_fs,
            steps=steps,
            seed=int(rng.integers(2**31)),
            trajectory_interval=every,
            guards=guards_at(settings.temperature_K),
        )
        for _ in starts
    ]
    walkers = walk(potential, starts, dynamics)
    stopped = sum(walker.stopped for walker in walkers)
    drifts = [abs(walker.drift_meV_per_atom_per_ps) for walker in walkers]
    length = 1e-3 * step_fs * every * sum(len(walker.frames) for walker in walkers)
    return (float("nan") if stopped else max(drifts)), length, stopped
