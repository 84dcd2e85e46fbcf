"""Conservation and symmetry of EST, on random weights and on the potentials that ship.

Training sharpens attention and enlarges the steerable features, so that what holds at random
weights is checked again on trained ones.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from scipy.spatial.transform import Rotation

from ase_geomformer import PotentialCalculator
from ase_geomformer.md.velocities import draw_velocities
from ase_geomformer.potential import Potential
from ase_geomformer.registry import list_potentials, load_potential
from ase_geomformer.testing.checks.derivatives import central_difference, displaced
from ase_geomformer.testing.structures import assert_close, evaluate, familiar
from ase_geomformer.testing.suite import random_potential
from tests.architectures.est.small import SMALL

SHIPPED = [name for name in list_potentials() if name.startswith("est-")]
TURNS = Rotation.random(6, rng=0).as_matrix()


@pytest.fixture(params=["random filters", "random so2", *SHIPPED])
def potential(request: pytest.FixtureRequest) -> Potential:
    if not request.param.startswith("random"):
        return load_potential(request.param).copy(dtype=torch.float64)
    messages = request.param.split()[1]
    return random_potential("est", {**SMALL, "messages": messages, "attention_width": 8})


@pytest.fixture
def atoms(potential: Potential) -> Atoms:
    return familiar(potential)


def test_energy_is_invariant_and_forces_turn(potential: Potential, atoms: Atoms) -> None:
    """Rotations and their products with the inversion, to 1e-10 (spec: exact kernel)."""
    assert potential.architecture.exact_equivariance
    before = evaluate(potential, atoms)
    for matrix in (*TURNS, -TURNS[0]):
        there = atoms.copy()
        there.set_cell(atoms.cell.array @ matrix.T)
        there.positions = atoms.positions @ matrix.T
        after = evaluate(potential, there)
        turn = torch.from_numpy(matrix)
        assert_close(after["energies"], before["energies"], 1e-10)
        assert_close(after["forces"], before["forces"] @ turn.T, 1e-10)


def test_forces_are_slopes(potential: Potential, atoms: Atoms) -> None:
    forces = evaluate(potential, atoms)["forces"]
    energies = evaluate(potential, displaced(atoms))["energy"]
    assert_close(forces, -central_difference(energies).reshape(-1, 3), 1e-6)


def test_no_net_force_or_torque(potential: Potential, atoms: Atoms) -> None:
    """No torque on a molecule, no antisymmetric stress of a crystal."""
    results = evaluate(potential, atoms)
    forces = results["forces"].numpy()
    scale = np.abs(forces).sum()
    assert np.abs(forces.sum(axis=0)).max() <= 1e-10 * scale
    if atoms.pbc.any():
        stress = results["stress"][0]
        assert_close(stress, stress.T, 1e-10)
    else:
        torque = np.cross(atoms.positions, forces).sum(axis=0)
        assert np.abs(torque).max() <= 1e-10 * scale


def test_energy_is_conserved_to_the_square_of_the_time_step(
    potential: Potential, atoms: Atoms
) -> None:
    """Half the step, a quarter of the error: what forces that are no gradient would add stays."""

    def error(timestep_fs: float, steps: int) -> float:
        moving = atoms.copy()
        moving.calc = PotentialCalculator(potential)
        draw_velocities(moving, 300.0, np.random.default_rng(0))
        dynamics = VelocityVerlet(moving, timestep=timestep_fs * units.fs)
        start, deviations = moving.get_total_energy(), []
        for _ in range(steps):
            dynamics.run(1)
            deviations.append(moving.get_total_energy() - start)
        return float(np.sqrt(np.mean(np.square(deviations))))

    coarse, fine = error(0.5, 50), error(0.25, 100)
    assert 0.2 * coarse < fine < 0.3 * coarse
