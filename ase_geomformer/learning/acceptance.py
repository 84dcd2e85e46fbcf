"""Acceptance: dynamics with the potential, its self-test, and labels of structures from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.calibration import spread_factor
from ase_geomformer.learning.exploration import Explored, guards_at
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.initial import Labels
from ase_geomformer.learning.rounds import WALKERS, Exploration, label_round
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import AcceptanceRecord
from ase_geomformer.learning.walkers import affordable_fs, walk
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.prepared import Source, prepare
from ase_geomformer.trust import selftest

# Tests on random structures of new dynamics that must all be at the target.
TESTS = 2
# Structures of a test at the temperature of use for each one at the highest temperature: the spread
# is calibrated for that of use, and hot frames have larger errors at the same spread.
USE_PER_HOT = 3
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
        Of labelled structures from the dynamics at both temperatures, the larger of those of the
        tests, see :func:`ase_geomformer.learning.unseen.unseen_errors`.
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

    def record(self, settings: LearnSettings) -> AcceptanceRecord:
        """As the state of a run with these settings keeps it."""
        keys = [structure_key(frame.atoms) for frame in self.frames]
        return AcceptanceRecord(**{**vars(self), "frames": keys}, asked_ps=settings.acceptance_ps)

    @classmethod
    def of(cls, record: AcceptanceRecord, frames: Sequence[Frame]) -> Acceptance:
        """From the state of a run and the labelled structures that it names."""

        def number(value: float | None) -> float:
            return float("nan") if value is None else value

        return cls(
            drift_meV_per_atom_per_ps=number(record.drift_meV_per_atom_per_ps),
            nve_ps=record.nve_ps,
            walkers=record.walkers,
            stopped=record.stopped,
            selftest=record.selftest,
            errors={name: number(value) for name, value in record.errors.items()},
            frames=list(frames),
        )


@dataclass(frozen=True, eq=False)
class Tested:
    """A test of the final potential on new dynamics.

    Attributes
    ----------
    explored : Explored
        Frames of dynamics with the potential.
    frames : list of Frame
        Those of them that were drawn and labelled.
    errors : dict
        See :func:`ase_geomformer.learning.unseen.unseen_errors`.
    """

    explored: Explored
    frames: list[Frame]
    errors: dict[str, Any]


def run_tests(
    exploration: Exploration,
    potentials: Sequence[Source],
    labels: Labels,
    train: Sequence[Frame],
    held: Sequence[Frame],
    *,
    number: int,
    seed: Sequence[int],
    member: int,
) -> list[Tested]:
    """Test the final potential on new dynamics, several times.

    The spread is calibrated with the frames that these students were not trained with. The factor
    of an earlier round is not theirs: before the last training it is often several times larger,
    and no error would exceed it.

    Parameters
    ----------
    exploration : Exploration
    potentials : sequence of Potential, or prepared ones
        The students after their last training.
    labels : callable
        Labels structures.
    train, held : sequence of Frame
        All labels so far: trained with, and held back.
    number : int
        Structures of each test to label.
    seed : sequence of int
    member : int
        The student that becomes the potential.
    """
    factor = spread_factor(potentials, held)
    tests: list[Tested] = []
    for test in range(TESTS):
        # Each starts from what the one before found, and so gets farther.
        known = [*train, *(frame for one in tests for frame in one.frames)]
        explored = exploration.walk(potentials[member], known, [*seed, test])
        frames, errors = label_round(
            explored,
            potentials,
            labels,
            number=number,
            settings=exploration.settings,
            factor=factor,
            seed=[*seed, test],
            origin="acceptance",
            member=member,
            use_per_hot=USE_PER_HOT,
        )
        tests.append(Tested(explored, frames, errors))
    return tests


def accept(
    potential: Potential,
    structure: Atoms,
    tests: Sequence[Tested],
    settings: LearnSettings,
    *,
    seconds: float | None,
) -> Acceptance:
    """Try the best of the students.

    Parameters
    ----------
    potential : Potential
    structure : ase.Atoms
        With the constraints of the dynamics.
    tests : sequence of Tested
        The last one's frames are where the dynamics at constant energy start.
    settings : LearnSettings
    seconds : float or None
        Time for the dynamics at constant energy; as long as the settings say if left out.
    """
    starts = starts_of(tests[-1].explored, structure, settings)
    drift, picoseconds, stopped = constant_energy(prepare(potential), starts, settings, seconds)
    return Acceptance(
        drift_meV_per_atom_per_ps=drift,
        nve_ps=picoseconds,
        walkers=sum(test.explored.walkers for test in tests) + WALKERS,
        stopped=sum(test.explored.stopped for test in tests) + stopped,
        selftest=selftest(potential, structure).problem,
        errors=worst_of([test.errors for test in tests]),
        frames=[frame for test in tests for frame in test.frames],
    )


def worst_of(tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The larger errors of several tests, the number of all frames, and the mean of the rest.

    What one test lacks is left out: it was not tested as often as it should be.
    """
    found: dict[str, Any] = {}
    for name in tests[0]:
        values = [test[name] for test in tests if name in test]
        if len(values) == len(tests):
            combine = _COMBINED.get(name.rpartition("_")[2], np.mean)
            found[name] = combine(values) if "frames" in name else float(combine(values))
    return found


# By the last word of the name.
_COMBINED: dict[str, Callable[[Sequence[float]], float]] = {"frames": sum, "A": max}


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
    potential: Source, starts: Sequence[Atoms], settings: LearnSettings, seconds: float | None
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
