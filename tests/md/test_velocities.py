from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.constraints import FixAtoms

from ase_geomformer.md.velocities import degrees_of_freedom, draw_velocities, temperature

pytestmark = pytest.mark.quick


def test_a_molecule_neither_drifts_nor_turns(ethanol: Atoms, rng: np.random.Generator) -> None:
    ethanol.positions += 100.0
    draw_velocities(ethanol, 300.0, rng)
    momenta = ethanol.get_momenta()
    arms = ethanol.get_positions() - ethanol.get_center_of_mass()
    np.testing.assert_allclose(momenta.sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(np.cross(arms, momenta).sum(axis=0), 0.0, atol=1e-10)


def test_a_crystal_does_not_drift(silicon: Atoms, rng: np.random.Generator) -> None:
    draw_velocities(silicon, 300.0, rng)
    np.testing.assert_allclose(silicon.get_momenta().sum(axis=0), 0.0, atol=1e-10)


@pytest.mark.parametrize("name", ["CH3CH2OH", "CO2", "N2"])
def test_kinetic_energy_has_the_canonical_mean_and_spread(
    name: str, rng: np.random.Generator
) -> None:
    atoms = molecule(name)
    atoms.rotate(31.0, (1.0, 2.0, 3.0))
    draws = []
    for _ in range(2000):
        draw_velocities(atoms, 300.0, rng)
        draws.append(temperature(atoms, degrees_of_freedom(atoms, conserves_momentum=True)))
    spread = 300.0 * np.sqrt(2.0 / degrees_of_freedom(atoms, conserves_momentum=True))
    assert np.mean(draws) == pytest.approx(300.0, abs=5.0 * spread / np.sqrt(2000))
    assert np.std(draws) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize(
    ("name", "number"), [("CH3CH2OH", 27 - 6), ("CO2", 9 - 5), ("N2", 6 - 5), ("H2O", 9 - 6)]
)
def test_degrees_of_freedom_of_molecules(name: str, number: int, rng: np.random.Generator) -> None:
    atoms = molecule(name)
    atoms.rotate(31.0, (1.0, 2.0, 3.0))
    draw_velocities(atoms, 300.0, rng)
    assert degrees_of_freedom(atoms, conserves_momentum=True) == number
    assert degrees_of_freedom(atoms, conserves_momentum=False) == 3 * len(atoms)


def test_degrees_of_freedom_of_crystals(silicon: Atoms, rng: np.random.Generator) -> None:
    draw_velocities(silicon, 300.0, rng)
    assert degrees_of_freedom(silicon, conserves_momentum=True) == 3 * 8 - 3


def test_a_drift_that_is_there_counts(ethanol: Atoms, rng: np.random.Generator) -> None:
    draw_velocities(ethanol, 300.0, rng)
    ethanol.set_velocities(ethanol.get_velocities() + [0.01, 0.0, 0.0])
    assert degrees_of_freedom(ethanol, conserves_momentum=True) == 27


def test_fixed_atoms_stay_at_rest(silicon: Atoms, rng: np.random.Generator) -> None:
    silicon.set_constraint(FixAtoms([0, 1]))
    draw_velocities(silicon, 300.0, rng)
    assert not silicon.get_momenta()[:2].any()
    assert degrees_of_freedom(silicon, conserves_momentum=True) == 3 * 6


def test_a_lone_atom_cannot_move_without_momentum(rng: np.random.Generator) -> None:
    atom = Atoms("Ar")
    draw_velocities(atom, 300.0, rng)
    assert degrees_of_freedom(atom, conserves_momentum=False) == 3
    with pytest.raises(ValueError, match="Ar cannot move"):
        degrees_of_freedom(atom, conserves_momentum=True)


def test_temperature_of_a_known_motion() -> None:
    atom = Atoms("Ar")
    atom.set_velocities([[0.02, 0.0, 0.0]])
    expected = atom.get_masses()[0] * 0.02**2 / (3.0 * units.kB)
    assert temperature(atom, 3) == pytest.approx(expected)
