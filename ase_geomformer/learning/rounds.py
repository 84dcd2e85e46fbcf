"""One round: train, explore, and label structures at random and by choice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.learning.committee_errors import committee_errors, predict
from ase_geomformer.learning.exploration import Explored, bare, explore
from ase_geomformer.learning.initial import Labels
from ase_geomformer.learning.selection import select_uncertain
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import RoundRecord
from ase_geomformer.potential import Potential

# Walkers of the exploration, half of them at the highest temperature.
WALKERS = 8
# They start from so many of the latest labels.
STARTS = 24
# Time between frames, and the least that a walker walks, fs.
INTERVAL_FS, SHORTEST_FS = 20.0, 100.0


@dataclass(frozen=True, eq=False)
class Exploration:
    """How a round explores.

    Attributes
    ----------
    structure : ase.Atoms
        Its constraints hold for all walkers.
    settings : LearnSettings
    seconds : float or None
        What the exploration may take; as long as the settings say if left out.
    """

    structure: Atoms
    settings: LearnSettings
    seconds: float | None = None

    def walk(self, potential: Potential, known: Sequence[Frame], seed: Sequence[int]) -> Explored:
        """Frames of walkers that start from known structures.

        The latest of these are preferred: they come from the walkers of the round before, which
        so get farther from the given structure in every round.
        """
        rng = np.random.default_rng(list(seed))
        own = [frame.atoms for frame in known if len(frame.atoms) == len(self.structure)]
        latest = range(max(0, len(own) - STARTS), len(own))
        chosen = rng.choice(latest, size=WALKERS, replace=len(latest) < WALKERS)
        starts = [self._held(own[int(index)]) for index in chosen]
        settings = self.settings
        step_fs = settings.step_fs(self.structure)
        kelvins = [settings.temperature_K, settings.hot_K] * (WALKERS // 2)
        return explore(
            potential,
            starts,
            kelvins,
            time_fs=self._time_fs(potential, starts, step_fs),
            timestep_fs=step_fs,
            interval_fs=INTERVAL_FS,
            seed=int(rng.integers(2**31)),
            known=own,
        )

    def _held(self, atoms: Atoms) -> Atoms:
        """A start with the constraints of the structure."""
        found = bare(atoms)
        found.set_constraint(self.structure.constraints)
        return found

    def _time_fs(self, potential: Potential, starts: Sequence[Atoms], step_fs: float) -> float:
        """As long as the settings say, or as fits the time."""
        wanted = self.settings.explore_fs
        if self.seconds is None:
            return wanted
        evaluate_many(starts, potential)
        started = time.perf_counter()
        evaluate_many(starts, potential)
        # Integrators and guards take about as long again.
        per_step = 2.0 * (time.perf_counter() - started)
        return float(np.clip(step_fs * self.seconds / per_step, min(SHORTEST_FS, wanted), wanted))


def label_round(
    record: RoundRecord,
    explored: Explored,
    potentials: Sequence[Potential],
    known: Sequence[Frame],
    labels: Labels,
    *,
    number: int,
    settings: LearnSettings,
    factor: float,
    seed: Sequence[int],
) -> tuple[list[Frame], list[Frame]]:
    """Label half of the structures at random and half by choice, and note the errors.

    Parameters
    ----------
    record : RoundRecord
        Gets the errors.
    explored : Explored
    potentials : sequence of Potential
        The students, as they were before they see the labels.
    known : sequence of Frame
        All labels so far.
    labels : callable
        Labels structures.
    number : int
        Structures to label; only the random half where the students need steps, not labels.
    settings : LearnSettings
    factor : float
        Calibration of the spread by earlier labels.
    seed : sequence of int

    Returns
    -------
    list of Frame, list of Frame
        Random and selected structures with labels.
    """
    rng = np.random.default_rng(list(seed))
    order = rng.permutation(len(explored.frames)).tolist()
    chosen, others = order[: (number + 1) // 2], order[(number + 1) // 2 :]
    structures = [explored.frames[index] for index in chosen]
    kelvins = [explored.temperatures_K[index] for index in chosen]
    predicted = predict(potentials, structures)
    answers = labels(structures, "random")
    rows = [row for row, frame in enumerate(answers) if frame is not None]
    random = [frame for frame in answers if frame is not None]
    if random:
        told = [predicted[row] for row in rows]
        record.errors = _errors(random, told, [kelvins[row] for row in rows], settings, factor)
    selected: list[Frame] = []
    if record.need == "labels" and others:
        candidates = [explored.frames[index] for index in others]
        guesses = predict(potentials, candidates)
        known_atoms = [frame.atoms for frame in [*known, *random] if len(frame.atoms) > 1]
        best = select_uncertain(candidates, guesses, known_atoms, number // 2)
        answers = labels([candidates[index] for index in best], "selected")
        rows = [row for row, frame in enumerate(answers) if frame is not None]
        selected = [frame for frame in answers if frame is not None]
        if selected:
            errors = committee_errors(selected, [guesses[best[row]] for row in rows])
            record.selected_mae_meV_per_A = float(np.mean(errors.member_mae_meV_per_A))
    return random, selected


def _errors(
    frames: Sequence[Frame],
    predicted: Sequence[Any],
    kelvins: Sequence[float],
    settings: LearnSettings,
    factor: float,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    every = committee_errors(frames, predicted, settings.target_meV_per_A, factor)
    for name, kelvin in (("use", settings.temperature_K), ("hot", settings.hot_K)):
        rows = [row for row, one in enumerate(kelvins) if one == kelvin]
        if rows:
            part = committee_errors([frames[row] for row in rows], [predicted[row] for row in rows])
            found[f"{name}_meV_per_A"] = float(np.mean(part.member_mae_meV_per_A))
            found[f"{name}_committee_meV_per_A"] = part.mae_meV_per_A
            found[f"{name}_frames"] = len(rows)
    return {
        **found,
        "energy_meV_per_atom": every.energy_mae_meV_per_atom,
        "calibration": every.calibration,
        "factor_before": factor,
        "ratio": every.calibration / factor,
        "exceedance": every.exceedance,
        "correlation": every.correlation,
    }
