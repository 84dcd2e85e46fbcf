"""One round: explore, and label structures drawn at random from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import predict
from ase_geomformer.learning.exploration import Explored, bare, explore
from ase_geomformer.learning.initial import Labels
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.unseen import unseen_errors
from ase_geomformer.learning.walkers import affordable_fs
from ase_geomformer.runtime.prepared import Source

# Walkers of the exploration, half of them at the highest temperature.
WALKERS = 8
# They start from so many of the latest labels.
STARTS = 24
# Time between frames, and the least that a walker walks, fs.
INTERVAL_FS, SHORTEST_FS = 20.0, 100.0
# Share of an equilibrated walk that is left out at its beginning.
EQUILIBRATION = 0.25


@dataclass(frozen=True, eq=False)
class Exploration:
    """How a round explores.

    Attributes
    ----------
    structure : ase.Atoms
        Its constraints hold for all walkers.
    settings : LearnSettings
    time_fs : float or None
        Length of each walk; as long as the settings say if left out.
    equilibrated : bool
        Whether the frames are to be those of the walkers' temperatures, in the structure's own
        cell. If not, all walkers start from any of the latest labels, strained cells among them,
        and many are hotter than their thermostat: they find more, but their errors are larger
        than those at the temperature.
    """

    structure: Atoms
    settings: LearnSettings
    time_fs: float | None = None
    equilibrated: bool = False

    def walk(self, potential: Source, known: Sequence[Frame], seed: Sequence[int]) -> Explored:
        """Frames of walkers that start from known structures.

        The latest of these are preferred: they come from the walkers of the round before, which
        so get farther from the given structure in every round.
        """
        rng = np.random.default_rng(list(seed))
        settings = self.settings
        own = [frame for frame in known if len(frame.atoms) == len(self.structure)]
        kelvins = [settings.temperature_K, settings.hot_K] * (WALKERS // 2)
        choose = self._thermal if self.equilibrated else self._latest
        starts = [self._held(atoms) for atoms in choose(own, kelvins, rng)]
        return explore(
            potential,
            starts,
            kelvins,
            time_fs=settings.explore_fs if self.time_fs is None else self.time_fs,
            timestep_fs=settings.step_fs(self.structure),
            interval_fs=INTERVAL_FS,
            seed=int(rng.integers(2**31)),
            known=[frame.atoms for frame in own],
            skip=EQUILIBRATION if self.equilibrated else 0.0,
        )

    def _latest(
        self, own: Sequence[Frame], kelvins: Sequence[float], rng: np.random.Generator
    ) -> list[Atoms]:
        """A start for each walker, any of the latest labels."""
        latest = range(max(0, len(own) - STARTS), len(own))
        chosen = rng.choice(latest, size=len(kelvins), replace=len(latest) < len(kelvins))
        return [own[int(index)].atoms for index in chosen]

    def _thermal(
        self, own: Sequence[Frame], kelvins: Sequence[float], rng: np.random.Generator
    ) -> list[Atoms]:
        """A start for each walker, of those latest labels whose energies suit its temperature.

        Walks keep the cell they start in: only the structure's own has the errors of its dynamics.
        For Cu3Au they were up to twice as large in cells strained by 3 %, at the same spread.
        """
        cell = self.structure.cell.array
        own = [frame for frame in own if np.allclose(frame.atoms.cell.array, cell, atol=1e-6)]
        latest = own[-STARTS:]
        energies = np.array([float(frame.energy or 0.0) for frame in latest])
        energies -= min(float(frame.energy or 0.0) for frame in own)
        half = -(-len(latest) // 2)
        starts = []
        for kelvin in kelvins:
            suited = nearest(energies, harmonic_energy(self.structure, kelvin), half)
            starts.append(latest[int(rng.choice(suited))].atoms)
        return starts

    def _held(self, atoms: Atoms) -> Atoms:
        """A start with the constraints of the structure."""
        found = bare(atoms)
        found.set_constraint(self.structure.constraints)
        return found


def possible_fs(
    structure: Atoms, settings: LearnSettings, potential: Source, seconds: float
) -> float:
    """Length of the walks of an exploration: as the settings say, or as fits the time, fs."""
    wanted = settings.explore_fs
    starts = [bare(structure)] * WALKERS
    possible = affordable_fs(potential, starts, settings.step_fs(structure), seconds)
    return float(np.clip(possible, min(SHORTEST_FS, wanted), wanted))


def harmonic_energy(atoms: Atoms, kelvin: float) -> float:
    """Mean classical energy above a minimum of harmonic vibrations, kT/2 for each of them, eV."""
    rigid = 3 if atoms.pbc.any() else 6
    return 0.5 * max(1, 3 * len(atoms) - rigid) * float(units.kB) * kelvin


def nearest(values: NDArray[np.float64], wanted: float, number: int) -> NDArray[np.int64]:
    """Indices of the values that are nearest to one."""
    return np.argsort(np.abs(values - wanted), kind="stable")[:number]


def label_round(
    explored: Explored,
    potentials: Sequence[Source],
    labels: Labels,
    *,
    number: int,
    settings: LearnSettings,
    factor: float,
    seed: Sequence[int],
    origin: str = "random",
    member: int | None = None,
    use_per_hot: int = 1,
) -> tuple[list[Frame], dict[str, Any]]:
    """Label structures drawn at random, and compare the students with the labels.

    With a larger number and the same seed, the same structures are drawn and more, so that a
    second call adds to what a first one had labelled.

    Parameters
    ----------
    explored : Explored
    potentials : sequence of Potential, or prepared ones
        The students, as they were before they see the labels.
    labels : callable
        Labels structures.
    number : int
        Structures to label.
    settings : LearnSettings
    factor : float
        Calibration of the spread by earlier labels.
    seed : sequence of int
    origin : str
        How the structures came about, for the store.
    member : int, optional
        The student whose error counts; the mean of those of all if left out.
    use_per_hot : int
        Structures at the temperature of use for each one at the highest temperature.

    Returns
    -------
    list of Frame
        Those that the teacher could label.
    dict
        Their errors, see :func:`unseen_errors`.
    """
    weights = {settings.temperature_K: use_per_hot}
    rng = np.random.default_rng(list(seed))
    drawn = drawn_in_turns(explored.temperatures_K, rng, weights)[:number]
    structures = [explored.frames[index] for index in drawn]
    predicted = predict(potentials, structures)
    answers = labels(structures, origin)
    rows = [row for row, frame in enumerate(answers) if frame is not None]
    frames = [frame for frame in answers if frame is not None]
    kelvins = [explored.temperatures_K[drawn[row]] for row in rows]
    told = [predicted[row] for row in rows]
    return frames, unseen_errors(frames, told, kelvins, settings, factor, member)


def drawn_in_turns(
    kinds: Sequence[float], rng: np.random.Generator, weights: Mapping[float, int] | None = None
) -> list[int]:
    """Indices in random order, of each kind in turns as long as there are any.

    Parameters
    ----------
    kinds : sequence of float
        Kind of each.
    rng : Generator
    weights : mapping, optional
        How many of a kind there are in each turn; one if it is not named.
    """
    order = rng.permutation(len(kinds)).tolist()
    place: dict[float, int] = {}
    turns = []
    for index in order:
        kind = kinds[index]
        place[kind] = place.get(kind, -1) + 1
        turns.append((place[kind] / (weights or {}).get(kind, 1), kind))
    return [order[row] for row in sorted(range(len(order)), key=lambda row: turns[row])]
