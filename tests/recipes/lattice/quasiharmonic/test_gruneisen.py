"""Mode Grüneisen parameters against differences of frequencies."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_geomformer.recipes.lattice.bands import Bands, band_structure
from ase_geomformer.recipes.lattice.quasiharmonic.gruneisen import (
    GruneisenParameters,
    gruneisen_parameters,
)

VOLUMES = (0.99, 1.0, 1.01)
# So many points on a path that some lie near Γ.
POINTS = 201


def of_copper(volume: float) -> Phonopy:
    atoms = bulk("Cu", a=3.6 * volume ** (1 / 3))
    phonon = Phonopy(
        PhonopyAtoms(symbols=["Cu"], cell=atoms.cell, scaled_positions=[[0, 0, 0]]),
        np.diag([2, 2, 2]),
        primitive_matrix="P",
    )
    phonon.generate_displacements(distance=0.01)
    (cell,) = phonon.supercells_with_displacements
    moved = Atoms(
        cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True, calculator=EMT()
    )
    phonon.forces = [moved.get_forces()]
    phonon.produce_force_constants()
    return phonon


@pytest.fixture(scope="module")
def copper() -> tuple[Phonopy, Phonopy, Phonopy]:
    smaller, middle, larger = (of_copper(volume) for volume in VOLUMES)
    return smaller, middle, larger


@pytest.fixture(scope="module")
def bands(copper: tuple[Phonopy, ...]) -> Bands:
    return band_structure(copper[1], POINTS)


@pytest.fixture(scope="module")
def found(copper: tuple[Phonopy, Phonopy, Phonopy], bands: Bands) -> GruneisenParameters:
    smaller, middle, larger = copper
    return gruneisen_parameters(middle, larger, smaller, bands, 15.0)


def test_parameters_are_slopes_of_frequencies_in_every_direction_from_gamma(
    copper: tuple[Phonopy, ...], bands: Bands, found: GruneisenParameters
) -> None:
    smaller, _, larger = copper
    strain = np.log(larger.primitive.volume / smaller.primitive.volume)
    near = 0
    for q_points, own, frequencies in zip(
        bands.q_points, found.band_parameters, found.band_frequencies_THz, strict=True
    ):
        below, above = (p.run_qpoints(q_points).frequencies for p in (smaller, larger))
        at_gamma = np.abs(frequencies).max(axis=1) < 1e-3
        assert np.isnan(own[at_gamma]).all()
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = -np.log(above / below) / strain
        # Each in the order of its frequencies, which the change of volume leaves.
        order = np.argsort(frequencies, axis=1)
        ordered = np.take_along_axis(own, order, axis=1)
        np.testing.assert_allclose(ordered[~at_gamma], slopes[~at_gamma], rtol=5e-3, atol=5e-3)
        near += int((frequencies[~at_gamma].min(axis=1) < 0.1).sum())
    # Where the squares of frequencies are so small that they look alike.
    assert near >= 4


def test_parameters_are_continuous_along_bands(bands: Bands, found: GruneisenParameters) -> None:
    for own, frequencies in zip(found.band_parameters, found.band_frequencies_THz, strict=True):
        steps = np.abs(np.diff(own, axis=0))
        assert np.nanmax(steps) < 0.05
        assert np.abs(np.diff(frequencies, axis=0)).max() < 0.2


def test_parameters_on_the_mesh_are_slopes(
    copper: tuple[Phonopy, ...], found: GruneisenParameters
) -> None:
    smaller, _, larger = copper
    strain = np.log(larger.primitive.volume / smaller.primitive.volume)
    below, above = (p.run_qpoints(found.q_points).frequencies for p in (smaller, larger))
    moving = found.frequencies_THz > 1e-2
    assert (~moving).sum() == 3
    slopes = -np.log(above[moving] / below[moving]) / strain
    np.testing.assert_allclose(found.parameters[moving], slopes, rtol=5e-3, atol=5e-3)
    assert np.isnan(found.parameters[~moving]).all()
