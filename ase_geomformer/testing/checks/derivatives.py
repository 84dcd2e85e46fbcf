"""Checks of forces, stress, Hessian and weight gradients against finite differences."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.hessian import hessian
from ase_geomformer.potential import Potential
from ase_geomformer.testing.structures import (
    assert_close,
    assortment,
    ethanol,
    evaluate,
    graph_of,
    known,
    triclinic,
)

STEP = 1e-4  # Å; central differences then err by 1e-8 of a third derivative
# Edges along the axes, where a local frame or a polar angle could be singular.
CROSS = Atoms("OHHH", positions=[[0, 0, 0], [0, 1, 0], [0, -1.1, 0], [0, 0, 1.2]])


def displaced(atoms: Atoms) -> list[Atoms]:
    """Every coordinate moved by plus and by minus a step."""
    structures = []
    for atom, axis in np.ndindex(len(atoms), 3):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * STEP
            structures.append(moved)
    return structures


def central_difference(values: Tensor) -> Tensor:
    """Slopes from values that alternate between plus and minus a step."""
    return (values[0::2] - values[1::2]) / (2.0 * STEP)


def force_loss(potential: Potential, graph: AtomGraph) -> Tensor:
    """Energies and forces together, so that offsets learn as well."""
    results = potential(graph, create_graph=True)
    return 0.1 * results["energy"].square().mean() + results["forces"].square().mean()


def loss_gradients(potential: Potential, graph: AtomGraph) -> dict[str, Tensor]:
    """Gradient of the force loss with respect to every weight of the architecture."""
    parameters = dict(potential.architecture.named_parameters())
    gradients = torch.autograd.grad(
        force_loss(potential, graph),
        list(parameters.values()),
        materialize_grads=True,
        allow_unused=True,
    )
    return dict(zip(parameters, gradients, strict=True))


class DerivativeChecks:
    """Derivatives are those of the energy, to second order, in positions, strain and weights."""

    idle_parameters: ClassVar[tuple[str, ...]]

    @pytest.mark.parametrize("structure", ["molecule", "crystal", "axes"])
    def test_forces_are_the_slope_of_the_energy(self, potential: Potential, structure: str) -> None:
        atoms = {"molecule": ethanol(), "crystal": triclinic(potential.cutoff), "axes": CROSS}[
            structure
        ]
        forces = evaluate(potential, atoms)["forces"]
        energies = evaluate(potential, displaced(atoms))["energy"]
        assert_close(forces, -central_difference(energies).reshape(-1, 3), 1e-6)

    def test_stress_is_the_slope_of_the_energy_with_strain(self, potential: Potential) -> None:
        """Stress is (1/V) dE/d(strain), cell and atoms deformed alike."""
        atoms = triclinic(potential.cutoff)
        strained = []
        for a, b in np.ndindex(3, 3):
            for sign in (1, -1):
                strain = np.zeros((3, 3))
                strain[a, b] += 0.5 * sign * STEP
                strain[b, a] += 0.5 * sign * STEP
                deformed = atoms.copy()
                deformed.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                strained.append(deformed)
        slope = central_difference(evaluate(potential, strained)["energy"]).reshape(3, 3)
        stress = evaluate(potential, atoms)["stress"][0]
        assert_close(stress, slope / atoms.get_volume(), 1e-6)

    @pytest.mark.parametrize("structure", ["molecule", "crystal"])
    def test_hessian_is_the_slope_of_the_forces(self, potential: Potential, structure: str) -> None:
        """Double backward, as force constants and training need it; symmetric besides."""
        atoms = ethanol() if structure == "molecule" else triclinic(potential.cutoff)
        atoms = known(potential, atoms)
        found = torch.from_numpy(hessian(potential, atoms))
        forces = evaluate(potential, displaced(atoms))["forces"].reshape(-1, 3 * len(atoms))
        assert_close(found, -central_difference(forces), 1e-6)
        assert_close(found, found.T, 1e-11)

    def test_weight_gradients_of_a_force_loss(self, potential: Potential) -> None:
        """Finite, and the slope of the loss in random directions of weight space."""
        potential.requires_grad_()
        graph = graph_of(potential, assortment(potential.cutoff))
        gradients = loss_gradients(potential, graph)
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
        generator = torch.Generator().manual_seed(0)
        parameters = dict(potential.architecture.named_parameters())
        for _ in range(3):
            direction = {
                name: torch.randn(p.shape, generator=generator, dtype=p.dtype)
                for name, p in parameters.items()
            }
            losses = []
            for step in (1e-5, -2e-5):
                with torch.no_grad():
                    for name, parameter in parameters.items():
                        parameter.add_(step * direction[name])
                losses.append(force_loss(potential, graph).detach())
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.add_(1e-5 * direction[name])
            expected = (losses[0] - losses[1]) / 2e-5
            found = sum((gradients[name] * direction[name]).sum() for name in parameters)
            assert_close(torch.as_tensor(found), expected, 1e-5)

    def test_every_weight_learns(self, potential: Potential) -> None:
        """Each parameter moves the loss, but for those the architecture says are idle."""
        potential.requires_grad_()
        graph = graph_of(potential, assortment(potential.cutoff))
        gradients = loss_gradients(potential, graph)
        silent = {name for name, gradient in gradients.items() if not gradient.any()}
        assert silent == set(self.idle_parameters) & set(gradients)
