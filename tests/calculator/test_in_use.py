"""A calculator under ASE's dynamics and optimizers."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from ase_geomformer import PotentialCalculator
from ase_geomformer.potential import Potential
from tests.calculator.counting import evaluations


def test_nve_conserves_energy(make_potential: Callable, ethanol: Atoms) -> None:
    """The error of velocity Verlet falls with the square of the timestep."""
    potential = make_potential(energy_scale=100.0)

    def energies(timestep: float) -> np.ndarray:
        atoms = ethanol.copy()
        spread = np.sqrt(1000 * units.kB * atoms.get_masses())[:, None]
        atoms.set_momenta(spread * np.random.default_rng(5).normal(size=(9, 3)))
        atoms.calc = PotentialCalculator(potential)
        found = []
        dynamics = VelocityVerlet(atoms, timestep * units.fs)
        dynamics.attach(
            lambda: found.append([atoms.get_total_energy(), atoms.get_kinetic_energy()])
        )
        dynamics.run(round(10.0 / timestep))
        return np.array(found)

    coarse, fine = energies(0.5), energies(0.25)
    assert len(coarse) == 21
    assert np.ptp(coarse[:, 1]) > 0.05
    assert np.ptp(coarse[:, 0]) < 0.02 * np.ptp(coarse[:, 1])
    assert np.ptp(fine[:, 0]) == pytest.approx(np.ptp(coarse[:, 0]) / 4.0, rel=0.3)


def test_dynamics_evaluates_once_a_step(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    dynamics = VelocityVerlet(ethanol, 0.5 * units.fs, logfile=os.devnull, loginterval=1)
    with evaluations(calculator) as seen:
        dynamics.run(5)
    assert seen == ["gradient"] * 6
    assert calculator.neighbors.builds < calculator.neighbors.updates == 6


def test_cells_relax(make_potential: Callable) -> None:
    calculator = PotentialCalculator(make_potential(energy_scale=100.0))
    atoms = bulk("Si", "diamond", a=5.43)
    atoms.calc = calculator
    before = atoms.get_potential_energy()
    with evaluations(calculator) as seen:
        optimizer = BFGS(FrechetCellFilter(atoms), logfile=None)
        optimizer.run(fmax=0.0, steps=3)
    assert atoms.get_potential_energy() < before
    assert len(seen) <= 4


def test_cuda_agrees_with_the_cpu(potential: Potential, silicon: Atoms) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here = PotentialCalculator(potential, device="cpu")
    there = PotentialCalculator(potential, device="cuda")
    for name in here.implemented_properties:
        np.testing.assert_allclose(
            there.get_property(name, silicon), here.get_property(name, silicon), atol=1e-10
        )
