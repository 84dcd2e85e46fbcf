"""Thermal displacements along the normal modes of a rough force field."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

# Springs between atoms: a bond of the length of the covalent radii, in eV/Å^2, and how fast
# springs weaken with the square of the distance relative to that length. A C-C bond has about 30,
# and atoms that share a neighbour a tenth of it.
BOND_STIFFNESS = 30.0
DECAY = 1.35
REACH = 2.2
# Holds each atom where it is, for torsions and other motions that pairs do not hold, eV/Å^2.
FLOOR = 1.0


def model_hessian(atoms: Atoms) -> NDArray[np.float64]:
    """Second derivatives of a network of springs, shape (3N, 3N), in eV/Å^2.

    Springs lie between all near atoms and weaken with their distance, in the manner of model
    Hessians for geometry optimisation (Lindh et al., Chem. Phys. Lett. 241, 423 (1995)). Only
    relative stiffness is meant to be right: bonds are stiff, torsions soft.

    Parameters
    ----------
    atoms : ase.Atoms
    """
    radii = covalent_radii[atoms.numbers]
    i, j, vectors = neighbor_list("ijD", atoms, float(2.0 * radii.max() * REACH))
    lengths = np.linalg.norm(vectors, axis=1)
    ratios = lengths / (radii[i] + radii[j])
    # Atoms that touch, as they do in a poor starting structure, are held no more firmly.
    stiffness = BOND_STIFFNESS * np.exp(-DECAY * np.clip(ratios**2 - 1.0, 0.0, None))
    units_ = vectors / lengths[:, None]
    blocks = stiffness[:, None, None] * units_[:, :, None] * units_[:, None, :]
    hessian = np.zeros((len(atoms), len(atoms), 3, 3))
    # Each pair is there in both directions, and each direction gives half.
    for sign, rows, columns in ((1, i, i), (1, j, j), (-1, i, j), (-1, j, i)):
        np.add.at(hessian, (rows, columns), 0.5 * sign * blocks)
    flat = hessian.transpose(0, 2, 1, 3).reshape(3 * len(atoms), -1)
    return np.array(flat + FLOOR * np.eye(len(flat)))


class ThermalModes:
    """Draws structures with the thermal displacements of :func:`model_hessian`.

    Parameters
    ----------
    atoms : ase.Atoms
        A minimum, or near one; fixed atoms stay.
    """

    def __init__(self, atoms: Atoms) -> None:
        self.atoms = atoms.copy()
        values, self.vectors = np.linalg.eigh(model_hessian(atoms))
        self.widths = 1.0 / np.sqrt(values)

    def draw(self, temperature_K: float, rng: np.random.Generator, amplitude: float = 1.0) -> Atoms:
        """A structure at a temperature, with all displacements times ``amplitude``."""
        weights = rng.standard_normal(len(self.widths)) * self.widths
        step = np.sqrt(units.kB * temperature_K) * amplitude * (self.vectors @ weights)
        displaced = self.atoms.copy()
        # Through ASE, so that constraints hold.
        displaced.set_positions(self.atoms.positions + step.reshape(-1, 3))
        return displaced


def calibrated_amplitude(
    energies: NDArray[np.float64],
    minimum: float,
    num_atoms: int,
    temperature_K: float,
    amplitude: float = 1.0,
) -> float:
    """Factor of the displacements that gives the potential energy of classical vibrations.

    Parameters
    ----------
    energies : ndarray, shape (F,)
        Of structures drawn at ``temperature_K`` with ``amplitude``, eV.
    minimum : float
        Energy of the minimum, eV.
    num_atoms : int
    temperature_K : float
    amplitude : float

    Returns
    -------
    float
        Between 0.2 and 6: one half of kT for each of the 3N-6 vibrations, and the energy grows
        with the square of the displacements.
    """
    vibrations = max(1, 3 * num_atoms - 6)
    expected = 0.5 * vibrations * units.kB * temperature_K
    # The median: one pair of atoms that comes too close would count more than all the others.
    found = float(np.median(energies)) - minimum
    return float(np.clip(amplitude * np.sqrt(expected / max(found, 1e-3 * expected)), 0.2, 6.0))
