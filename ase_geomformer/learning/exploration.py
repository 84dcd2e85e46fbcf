"""Exploration: dynamics with the students, several walkers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from ase_geomformer.learning.answers import KEPT_INFO
from ase_geomformer.learning.walkers import walk
from ase_geomformer.md.guard_settings import GuardSettings
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runtime.prepared import Source

# Two atoms nearer than this part of the shortest distance in labelled structures, or, where such a
# pair is not known, of the sum of their covalent radii, are no structure to label.
TOO_CLOSE, TOO_CLOSE_UNKNOWN = 0.88, 0.75
# Range in which pairs are looked at, in sums of covalent radii.
REACH = 1.5
Pair = tuple[int, int]
# A walker stops at this force, eV/Å, and at this multiple of its temperature.
MAX_FORCE, TOO_HOT = 40.0, 5.0


@dataclass(frozen=True, eq=False)
class Explored:
    """Frames of the walkers.

    Attributes
    ----------
    frames : list of Atoms
        Sensible structures after the walkers' first steps, of all walkers.
    temperatures_K : list of float
        That of each frame's walker.
    stopped : int
        Walkers that a guard has stopped, or that brought atoms too close.
    walkers : int
    """

    frames: list[Atoms]
    temperatures_K: list[float]
    stopped: int
    walkers: int


def explore(
    potential: Source,
    starts: Sequence[Atoms],
    temperatures_K: Sequence[float],
    *,
    time_fs: float,
    timestep_fs: float,
    interval_fs: float,
    seed: int,
    known: Sequence[Atoms] = (),
    skip: float = 0.0,
) -> Explored:
    """Langevin dynamics of one walker from each start.

    Parameters
    ----------
    potential : Potential, or a prepared one
        One of the students.
    starts : sequence of ase.Atoms
    temperatures_K : sequence of float
        One for each.
    time_fs, timestep_fs, interval_fs : float
        Length, time step, and time between the frames that are kept.
    seed : int
        Of velocities and thermostat.
    known : sequence of ase.Atoms
        Labelled structures. Of a walker that brings two atoms much closer than they are in these,
        what follows is left out.
    skip : float
        Share of each walk whose frames are left out at its beginning.
    """
    closest = closest_pairs([*starts, *known])
    every = max(1, round(interval_fs / timestep_fs))
    steps = max(1, round(time_fs / timestep_fs / every)) * every
    rng = np.random.default_rng(seed)
    settings = [
        MDSettings(
            ensemble="nvt-langevin",
            temperature_K=float(kelvin),
            timestep_fs=timestep_fs,
            steps=steps,
            seed=int(rng.integers(2**31)),
            friction_per_fs=0.01,
            trajectory_interval=every,
            guards=guards_at(kelvin),
        )
        for kelvin in temperatures_K
    ]
    frames, kelvins, lost = [], [], 0
    walkers = walk(potential, starts, settings)
    for walker, kelvin in zip(walkers, temperatures_K, strict=True):
        sensible = [*map(bare, takewhile(lambda atoms: is_sensible(atoms, closest), walker.frames))]
        lost += walker.stopped or len(sensible) < len(walker.frames)
        kept = sensible[int(skip * steps / every) :]
        frames += kept
        kelvins += [float(kelvin)] * len(kept)
    return Explored(frames, kelvins, lost, len(temperatures_K))


def guards_at(kelvin: float) -> GuardSettings:
    """What ends a walker at a temperature."""
    return GuardSettings(
        max_force_eV_per_A=MAX_FORCE,
        max_temperature_K=TOO_HOT * kelvin + 2000.0,
        max_gap_A=None,
    )


def bare(atoms: Atoms) -> Atoms:
    """A structure without velocities, results and remarks."""
    found = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    found.info.update({key: atoms.info[key] for key in KEPT_INFO if key in atoms.info})
    return found


def closest_pairs(structures: Sequence[Atoms]) -> dict[Pair, float]:
    """Shortest distance of each pair of elements in structures, Å."""
    found: dict[Pair, float] = {}
    for atoms in structures:
        for pair, distance in _pairs(atoms):
            found[pair] = min(distance, found.get(pair, distance))
    return found


def is_sensible(atoms: Atoms, closest: Mapping[Pair, float]) -> bool:
    """Whether no two atoms are much closer than such atoms are known to be."""
    for (first, second), distance in _pairs(atoms):
        known = closest.get((first, second))
        radii = covalent_radii[first] + covalent_radii[second]
        limit = TOO_CLOSE_UNKNOWN * radii if known is None else TOO_CLOSE * known
        if distance < limit:
            return False
    return True


def _pairs(atoms: Atoms) -> list[tuple[Pair, float]]:
    """Elements and distance of all near pairs."""
    reach = float(2.0 * covalent_radii[atoms.numbers].max() * REACH)
    i, j, distances = neighbor_list("ijd", atoms, reach)
    numbers = np.sort(atoms.numbers[np.stack([i, j])], axis=0)
    return [
        ((int(first), int(second)), float(distance))
        for first, second, distance in zip(*numbers, distances, strict=True)
    ]
