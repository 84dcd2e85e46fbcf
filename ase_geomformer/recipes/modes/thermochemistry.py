"""Thermochemistry of a gas of molecules, or of an adsorbate, from vibrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.thermochemistry import HarmonicThermo, IdealGasThermo

from ase_geomformer.graph.structure import electrons
from ase_geomformer.recipes.modes.normal_modes import geometry_kind

ThermochemistryModel = Literal["auto", "ideal-gas", "harmonic", "none"]
BAR = 1e5  # Pa
# amu; masses closer than this are of the same isotope.
_SAME_MASS = 0.01


@dataclass(frozen=True)
class ThermochemistryRow:
    """Thermal quantities at one temperature; energies hold the potential energy.

    Attributes
    ----------
    temperature_K : float
    internal_energy_eV : float
    enthalpy_eV : float or None
        None for an adsorbate, which has no p V of its own.
    entropy_eV_per_K : float
    free_energy_eV : float
        Gibbs energy of an ideal gas, Helmholtz energy of an adsorbate.
    """

    temperature_K: float
    internal_energy_eV: float
    enthalpy_eV: float | None
    entropy_eV_per_K: float
    free_energy_eV: float


def ideal_gas(
    atoms: Atoms,
    quanta_eV: Sequence[float] | np.ndarray,
    energy_eV: float,
    temperatures_K: Sequence[float] | np.ndarray,
    *,
    pressure_bar: float,
    symmetry: int,
) -> list[ThermochemistryRow]:
    """Ideal gas of rigid rotors and harmonic oscillators, by ASE.

    The electronic degeneracy is the spin multiplicity in ``atoms.info["spin"]``, 1 by default.

    Parameters
    ----------
    atoms : ase.Atoms
    quanta_eV : sequence of float
        Energies of one quantum of all vibrations.
    energy_eV : float
        Potential energy.
    temperatures_K : sequence of float
    pressure_bar : float
    symmetry : int
        Rotational symmetry number.
    """
    isolated = atoms.copy()
    isolated.pbc = False
    thermo = IdealGasThermo(
        vib_energies=list(quanta_eV),
        geometry=geometry_kind(atoms.positions),
        potentialenergy=energy_eV,
        atoms=isolated,
        symmetrynumber=symmetry,
        spin=(electrons(atoms)["spin"] - 1.0) / 2.0,
        vib_selection="all",
    )
    rows = []
    for temperature in map(float, temperatures_K):
        internal = thermo.get_internal_energy(temperature, verbose=False)
        enthalpy = thermo.get_enthalpy(temperature, verbose=False)
        entropy = thermo.get_entropy(temperature, pressure_bar * BAR, verbose=False)
        gibbs = enthalpy - temperature * entropy
        rows.append(
            ThermochemistryRow(
                temperature, float(internal), float(enthalpy), float(entropy), float(gibbs)
            )
        )
    return rows


def harmonic(
    quanta_eV: Sequence[float] | np.ndarray,
    energy_eV: float,
    temperatures_K: Sequence[float] | np.ndarray,
) -> list[ThermochemistryRow]:
    """Harmonic oscillators only, as for an adsorbate, by ASE."""
    thermo = HarmonicThermo(vib_energies=list(quanta_eV), potentialenergy=energy_eV)
    rows = []
    for temperature in map(float, temperatures_K):
        internal = float(thermo.get_internal_energy(temperature, verbose=False))
        entropy = float(thermo.get_entropy(temperature, verbose=False))
        free = internal - temperature * entropy
        rows.append(ThermochemistryRow(temperature, internal, None, entropy, free))
    return rows


def symmetry_number(atoms: Atoms, tolerance_A: float = 0.1) -> int:
    """Number of rotations that bring a molecule onto itself, its isotopes told apart.

    Two atoms that are not in line with the centre fix a rotation by where they go; every place of
    the same element, mass and distance from the centre is tried.

    Parameters
    ----------
    atoms : ase.Atoms
    tolerance_A : float
        How far an atom may end up from one of its kind.
    """
    kind = geometry_kind(atoms.positions)
    if kind == "monatomic":
        return 1
    centred = atoms.positions - atoms.get_center_of_mass()
    numbers = _kinds(atoms)
    if kind == "linear":
        return 2 if _is_same(centred, -centred, numbers, tolerance_A) else 1
    distances = np.linalg.norm(centred, axis=1)
    first, second = _anchors(centred, distances, numbers, tolerance_A)
    before = _frame(centred[first], centred[second])
    count = 0
    for i in _alike(first, distances, numbers, tolerance_A):
        for j in _alike(second, distances, numbers, tolerance_A):
            same_angle = abs(
                np.linalg.norm(centred[i] - centred[j])
                - np.linalg.norm(centred[first] - centred[second])
            )
            if i == j or same_angle > 2.0 * tolerance_A:
                continue
            rotation = before.T @ _frame(centred[i], centred[j])
            count += _is_same(centred, centred @ rotation, numbers, tolerance_A)
    return count


def _kinds(atoms: Atoms) -> np.ndarray:
    """A number for each atom, the same for atoms of the same element and mass (N,)."""
    masses = np.round(atoms.get_masses() / _SAME_MASS).astype(int)
    found = np.unique(np.stack([atoms.numbers, masses]), axis=1, return_inverse=True)[1]
    return np.asarray(found).ravel()


def _anchors(
    centred: np.ndarray, distances: np.ndarray, numbers: np.ndarray, tolerance: float
) -> tuple[int, int]:
    """Two atoms, not in line with the centre, that have few others like them."""
    away = np.flatnonzero(distances > 5.0 * tolerance).tolist()
    order = sorted(away, key=lambda i: len(_alike(i, distances, numbers, tolerance)))
    best = max(_sine(centred[i], centred[j]) for i in order for j in order)
    return next((i, j) for i in order for j in order if _sine(centred[i], centred[j]) > 0.5 * best)


def _sine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(np.cross(a, b)) / np.linalg.norm(a) / np.linalg.norm(b))


def _alike(atom: int, distances: np.ndarray, numbers: np.ndarray, tolerance: float) -> np.ndarray:
    """Atoms of the same kind as far from the centre."""
    near = np.abs(distances - distances[atom]) < tolerance
    return np.flatnonzero(near & (numbers == numbers[atom]))


def _frame(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Right-handed axes in rows: along ``a``, and then in the plane with ``b``."""
    x = a / np.linalg.norm(a)
    z = np.cross(x, b)
    z /= np.linalg.norm(z)
    return np.array([x, np.cross(z, x), z])


def _is_same(places: np.ndarray, moved: np.ndarray, numbers: np.ndarray, tolerance: float) -> bool:
    """Whether every atom moved has come to where one of its kind is."""
    apart = np.linalg.norm(moved[:, None] - places[None], axis=2)
    apart[numbers[:, None] != numbers[None]] = np.inf
    return bool((apart.min(axis=1) < tolerance).all())
