"""The limit of long waves: sound against elastic constants, and optical bands that meet at Γ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes.elasticity.run import elastic
from ase_geomformer.recipes.elasticity.settings import ElasticSettings
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.phonons.run import phonons
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.registry import list_potentials

DIRECTIONS = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 2, 3]])
DIRECTIONS = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
# Voigt's number of each pair of axes.
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
SILICON = "so3krates-mlearn-si"


def bands_of(atoms: Atoms, potential: Any, supercell: list[int]) -> PhononResult:
    settings = PhononSettings(
        supercell=supercell, fmax=1e-4, mesh=[2, 2, 2], band_points=5, temperature_step_K=500.0
    )
    return phonons(atoms, potential, settings, progress=False)


def frequencies(result: PhononResult, wave: np.ndarray) -> np.ndarray:
    """In THz, at a wave vector in 1/Å without 2 pi."""
    point = result.phonon.primitive.cell @ wave
    return np.asarray(result.phonon.run_qpoints([point]).frequencies[0])


def sound(result: PhononResult, potential: Any, directions: np.ndarray) -> np.ndarray:
    """Velocities of sound (directions, 3) in THz Å, by elastic constants and Christoffel."""
    constants = elastic(result.atoms, potential, ElasticSettings(), progress=False).constants_GPa
    tensor = constants[VOIGT[:, :, None, None], VOIGT] * units.GPa
    primitive = result.phonon.primitive
    density = primitive.masses.sum() / primitive.volume
    stiffness = np.einsum("ijkl,nj,nl->nik", tensor, directions, directions)
    return np.sqrt(np.linalg.eigvalsh(stiffness) / density) * 1e-12 * units.second


def test_sound_has_the_velocities_of_the_elastic_constants() -> None:
    # Five cells along each axis, so that all forces on neighbours of EMT are inside.
    copper = bands_of(bulk("Cu"), EMT(), [5, 5, 5])
    wave = 1e-3
    velocities = [frequencies(copper, wave * direction) / wave for direction in DIRECTIONS]
    np.testing.assert_allclose(velocities, sound(copper, EMT(), DIRECTIONS), rtol=1e-3)


def test_without_charges_optical_bands_meet_at_gamma_with_slope_zero() -> None:
    alloy = Atoms(
        "AuCu3", cell=[3.75] * 3, pbc=True,
        scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    )  # fmt: skip
    result = bands_of(alloy, EMT(), [2, 2, 2])
    at_gamma = frequencies(result, np.zeros(3))[3:]
    # Three threefold degenerate modes, whose longitudinal and transverse bands differ away from Γ.
    assert np.ptp(at_gamma.reshape(3, 3), axis=1).max() < 1e-6
    for direction in DIRECTIONS:
        shifts = [frequencies(result, wave * direction)[3:] - at_gamma for wave in (1e-3, 2e-3)]
        assert np.abs(shifts[0]).max() < 2e-4
        # Parabolas.
        moved = np.abs(shifts[0]) > 1e-6
        np.testing.assert_allclose(shifts[1][moved], 4.0 * shifts[0][moved], rtol=0.02)


@pytest.mark.skipif(SILICON not in list_potentials(), reason=f"{SILICON} is not available")
def test_bands_of_silicon_at_long_waves() -> None:
    """How its longitudinal optical band leaves Γ is the potential's doing, not the recipe's."""
    # Twelve cells along an axis: waves along it need no interpolation of force constants.
    silicon = bands_of(bulk("Si", cubic=True), SILICON, [1, 1, 12])
    axis = np.array([0.0, 0.0, 1.0])
    step = 1.0 / 12.0 / silicon.atoms.cell.lengths()[2]
    at_gamma, first, second = (frequencies(silicon, n * step * axis) for n in range(3))
    # The last term of a series in even powers.
    velocities = (4.0 * first[:3] - second[:3] / 2.0) / 3.0 / step
    np.testing.assert_allclose(velocities, sound(silicon, SILICON, axis[None])[0], rtol=1e-3)
    # The supercell is not cubic, and so are the errors of displacements.
    assert np.ptp(at_gamma[3:]) < 5e-3
    shifts = np.abs([first[5] - at_gamma[5], second[5] - at_gamma[5]])
    assert shifts[1] > 3.0 * shifts[0]
