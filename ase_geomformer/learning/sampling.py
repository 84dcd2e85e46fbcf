"""Structures to label before there is any potential."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii, ground_state_magnetic_moments

from ase_geomformer.learning.modes import ThermalModes
from ase_geomformer.learning.sample_settings import SampleSettings

# Side of the box of an isolated atom whose teacher needs periodic boundaries, Å.
BOX = 12.0


def isolated_atoms(atoms: Atoms) -> list[Atoms]:
    """One atom of each element, in its ground state by Hund's rules.

    In open boundaries, or in a periodic box where the structure is periodic, as plane-wave codes
    want it; ``config_type`` then says that it is isolated.
    """
    found = []
    for symbol in sorted(set(atoms.get_chemical_symbols()), key=atomic_numbers.__getitem__):
        moment = float(ground_state_magnetic_moments[atomic_numbers[symbol]])
        atom = Atoms(symbol, magmoms=[moment], info={"spin": 1 + round(moment)})
        atom.info["config_type"] = "IsolatedAtom"
        if atoms.pbc.any():
            atom.set_cell([BOX, BOX, BOX])
            atom.center()
            atom.set_pbc(True)
        found.append(atom)
    return found


def thermal(
    atoms: Atoms, number: int, settings: SampleSettings, rng: np.random.Generator
) -> list[Atoms]:
    """Thermal displacements, the temperatures in turn."""
    modes = ThermalModes(atoms)
    kelvins = settings.kelvins
    return [
        modes.draw(kelvins[index % len(kelvins)], rng, settings.amplitude)
        for index in range(number)
    ]


def strained(
    atoms: Atoms, number: int, settings: SampleSettings, rng: np.random.Generator
) -> list[Atoms]:
    """Random strains of the cell, with thermal displacements of the lowest temperature.

    Half of them change the volume only. A structure that is not periodic in all directions has
    none.
    """
    if not atoms.pbc.all():
        return []
    found = []
    for index in range(number):
        strain = np.eye(3) * rng.uniform(-1.0, 1.0)
        if index % 2:
            random = rng.uniform(-1.0, 1.0, (3, 3))
            strain = (random + random.T) / 2.0
        cell = atoms.cell.array @ (np.eye(3) + settings.max_strain * strain)
        deformed = atoms.copy()
        deformed.set_cell(cell, scale_atoms=True)
        modes = ThermalModes(deformed)
        found.append(modes.draw(min(settings.kelvins), rng, settings.amplitude))
    return found


def dimers(
    atoms: Atoms, number: int, settings: SampleSettings, rng: np.random.Generator
) -> list[Atoms]:
    """Pairs of atoms from 0.7 to 1.3 times the sum of their covalent radii, all elements in turn.

    They tell of close contacts, where teachers of molecules can be far from a molecule's forces.
    """
    elements = sorted(set(atoms.numbers.tolist()))
    pairs = list(combinations_with_replacement(elements, 2))
    found = []
    for index in range(number):
        first, second = pairs[index % len(pairs)]
        steps = max(1, (number - 1) // len(pairs))
        ratio = 0.7 + 0.6 * (index // len(pairs)) / steps
        length = ratio * (covalent_radii[first] + covalent_radii[second])
        pair = Atoms([first, second], [[0.0, 0.0, 0.0], [0.0, 0.0, length]])
        odd = (first + second) % 2
        pair.info["spin"] = 1 + odd
        if atoms.pbc.any():
            pair.set_cell([BOX, BOX, BOX])
            pair.center()
            pair.set_pbc(True)
        found.append(pair)
    return found


Sampler = Callable[[Atoms, int, SampleSettings, np.random.Generator], list[Atoms]]
SAMPLERS: dict[str, Sampler] = {"modes": thermal, "strains": strained, "dimers": dimers}


def sample(atoms: Atoms, settings: SampleSettings | None = None) -> dict[str, list[Atoms]]:
    """Structures around one, without any calculator.

    Parameters
    ----------
    atoms : ase.Atoms
        A minimum, or near one.
    settings : SampleSettings, optional

    Returns
    -------
    dict of str to list of Atoms
        By how they were made: ``isolated``, ``modes``, ``strains``, ``dimers``. Charge and spin
        of the structure are theirs, too, except for isolated atoms and dimers.
    """
    settings = settings or SampleSettings()
    rng = np.random.default_rng(settings.seed)
    found: dict[str, list[Atoms]] = {"isolated": isolated_atoms(atoms) if settings.isolated else []}
    for name, sampler in SAMPLERS.items():
        found[name] = sampler(atoms, getattr(settings, name), settings, rng)
    return found
