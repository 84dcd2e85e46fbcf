"""Checks of smoothness: at the cutoff, along paths and at symmetric sites."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.integrate import cumulative_simpson

from ase_geomformer.potential import Potential
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.structures import (
    CRYSTALS,
    along_line,
    assert_close,
    crystal,
    dimer,
    ethanol,
    evaluate,
    graph_of,
    triclinic,
)

STRETCH = dimer("H2", 1.0).positions


class SmoothnessChecks:
    """Energies have two continuous derivatives, above all where neighbours come and go."""

    limits: ClassVar[Limits]

    @pytest.mark.parametrize("symbols", ["H2", "CO"])
    def test_dimer_through_the_cutoff(self, potential: Potential, symbols: str) -> None:
        """Energy, force and its slope fade to those of two lone atoms; nothing flares up before.

        A norm after aggregation divides by the size of what the last neighbour sent, and keeps
        it alive until it vanishes all at once: then the outermost 5 % hold the largest force.
        """
        cutoff = potential.cutoff
        lone = evaluate(potential, [Atoms(symbol) for symbol in Atoms(symbols).symbols])
        separated = lone["energy"].sum()

        def scan(*fractions: float) -> list[torch.Tensor]:
            dimers = [dimer(symbols, fraction * cutoff) for fraction in fractions]
            energy, slope, curvature = along_line(potential, dimers, STRETCH, 1.2 * cutoff)
            return [energy - separated, slope, curvature]

        inner = [values.abs().max() for values in scan(*np.linspace(0.4, 0.95, 56))]
        tail = [values.abs().max() for values in scan(*np.linspace(0.95, 1.0, 101))]
        edge = [values.abs().max() for values in scan(1.0 - 1e-4)]
        assert min(inner) > 1e-6
        assert all(outer <= middle for outer, middle in zip(tail, inner, strict=True))
        for value, scale, relative in zip(edge, inner, (1e-6, 1e-4, 1e-2), strict=True):
            assert value <= relative * scale
        for values in scan(1.0 + 1e-9, 1.0 + 1e-4, 1.1):
            assert values.abs().max() <= 1e-12 * max(1.0, separated.abs().item())

    def test_neighbour_entering_a_cluster(self, potential: Potential) -> None:
        """No step in energy, force or slope of the force as an atom enters each cutoff sphere.

        The neighbour list is that of the cutoff itself, so the edge appears at the crossing.
        """
        cutoff, cluster = potential.cutoff, ethanol()
        x, y, z = cluster.positions.T
        crossings = x + np.sqrt(cutoff**2 - y**2 - z**2)
        direction = np.zeros((len(cluster) + 1, 3))
        direction[-1, 0] = 1.0

        def scan(places: np.ndarray) -> tuple[torch.Tensor, ...]:
            structures = [cluster + Atoms("N", positions=[[place, 0, 0]]) for place in places]
            return along_line(potential, structures, direction)

        approach = np.linspace(crossings.max() + 0.1, crossings.max() - 0.5 * cutoff, 60)
        scales = [values.max() - values.min() for values in scan(approach)]
        assert min(scales) > 1e-6
        # Across a crossing, each quantity may change by what its own derivative says, no more.
        gap = 1e-6 * cutoff
        inside, outside = scan(crossings - gap), scan(crossings + gap)
        steps = [after - before for after, before in zip(inside, outside, strict=True)]
        for order in (0, 1):
            steps[order] += gap * (inside[order + 1] + outside[order + 1])
        for step, scale, relative in zip(steps, scales, (1e-10, 1e-9, 1e-3), strict=True):
            assert step.abs().max() <= relative * scale

    def test_no_kinks_along_a_path(self, potential: Potential) -> None:
        """Slopes sum up to the energy and curvatures to the slope, over bends and stretches.

        What a kink contributes is in no derivative, and would be missing from the sum.
        """
        molecule = ethanol()
        direction = np.random.default_rng(0).normal(size=(len(molecule), 3)) / 3.0
        times = np.linspace(-0.5, 0.5, 201)
        structures = []
        for time in times:
            moved = molecule.copy()
            moved.positions += time * direction
            structures.append(moved)
        levels = along_line(potential, structures, direction)
        for function, slope in pairwise(levels):
            summed = torch.from_numpy(cumulative_simpson(slope.numpy(), x=times, initial=0.0))
            assert_close(summed, function - function[0], 1e-4)

    @pytest.mark.parametrize("structure", ["molecule", "crystal"])
    def test_longer_neighbour_list_changes_nothing(
        self, potential: Potential, structure: str
    ) -> None:
        """Edges beyond the cutoff, as a Verlet skin lists them, are silent."""
        atoms = ethanol() if structure == "molecule" else triclinic(potential.cutoff)
        exact = evaluate(potential, atoms)
        longer = evaluate(potential, atoms, 1.4 * potential.cutoff)
        for name in ("energies", "forces", "stresses"):
            if structure == "crystal" or name != "stresses":
                assert_close(longer[name], exact[name], 1e-11)

    @pytest.mark.parametrize("structure", CRYSTALS)
    def test_force_constants_at_symmetric_sites(self, potential: Potential, structure: str) -> None:
        """-F/u stays the analytic force constant down to displacements u of 1e-7 Å.

        Where symmetry cancels every vector feature, a norm of vectors amplifies what rounding
        and tiny displacements leave: force constants of perfect crystals are then noise.
        """
        perfect = crystal(structure, potential.cutoff)
        direction = np.zeros((len(perfect), 3))
        direction[0] = [0.6, 0.48, 0.64]
        constant = along_line(potential, [perfect], direction)[2][0]
        assert torch.isfinite(constant)
        assert constant.abs() > 1e-6
        displacements = 10.0 ** -np.arange(1, 8)
        displaced = []
        for displacement in displacements:
            atoms = perfect.copy()
            atoms.positions += displacement * direction
            displaced.append(atoms)
        slopes = along_line(potential, displaced, direction)[1]
        ratios = slopes / torch.from_numpy(displacements) / constant
        deviations = (ratios - 1.0).abs()
        # What differs is anharmonic: it falls at least linearly with the displacement.
        anharmonic = self.limits.anharmonicity * displacements / 0.01
        assert (deviations <= torch.from_numpy(anharmonic) + 1e-6).all()

    @pytest.mark.parametrize("structure", CRYSTALS)
    def test_no_force_in_a_perfect_crystal(self, potential: Potential, structure: str) -> None:
        results = evaluate(potential, crystal(structure, potential.cutoff))
        assert results["forces"].abs().max() <= 1e-12 * max(
            1.0, results["energies"].abs().max().item()
        )

    def test_lone_atom(self, potential: Potential) -> None:
        """An atom without neighbours has an energy and no force, and weights can learn from it."""
        potential.requires_grad_()
        results = potential(graph_of(potential, [Atoms("C"), Atoms("O")]), create_graph=True)
        assert torch.isfinite(results["energy"]).all()
        assert (results["forces"] == 0.0).all()
        loss = results["energy"].square().sum() + results["forces"].square().sum()
        loss.backward()
        gradients = [p.grad for p in potential.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)

    @pytest.mark.parametrize("distance", [0.0, 1e-8, 1e-3, 0.1])
    def test_atoms_much_too_close(self, potential: Potential, distance: float) -> None:
        """Energies and forces are numbers even where atoms coincide, alone or in company."""
        pair = dimer("CO", distance)
        crowded = ethanol() + dimer("CO", distance)
        for atoms in (pair, crowded):
            results = evaluate(potential, atoms)
            assert torch.isfinite(results["energies"]).all()
            assert torch.isfinite(results["forces"]).all()
