"""Checks of supercells, batches, padding and precision."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from ase_geomformer.graph.padding import pad_graph
from ase_geomformer.potential import PROPERTIES, Potential
from ase_geomformer.testing.checks.derivatives import force_loss
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.structures import (
    assert_close,
    assortment,
    ethanol,
    evaluate,
    graph_of,
    triclinic,
)


class GraphChecks:
    """The energy is that of the structure, however it is described or packed."""

    limits: ClassVar[Limits]

    @pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 1, 3), (2, 2, 2)])
    def test_supercells(self, potential: Potential, repeats: tuple[int, int, int]) -> None:
        """A repeated crystal has the same energies, forces and stress.

        The cell is shorter than the cutoff, so that atoms neighbour their own images.
        """
        unit = triclinic(potential.cutoff)
        copies = repeats[0] * repeats[1] * repeats[2]
        one, many = evaluate(potential, unit), evaluate(potential, unit * repeats)
        assert_close(many["energies"], one["energies"].repeat(copies), 1e-11)
        assert_close(many["forces"], one["forces"].repeat(copies, 1), 1e-11)
        assert_close(many["stress"], one["stress"], 1e-11)

    def test_distant_molecules_do_not_know_each_other(self, potential: Potential) -> None:
        pair = ethanol()
        pair.translate([0.0, 0.0, 50.0])
        pair += triclinic(potential.cutoff)
        alone = [ethanol(), triclinic(potential.cutoff)]
        alone[1].pbc = False
        pair.cell, pair.pbc = None, False
        expected = evaluate(potential, alone)
        found = evaluate(potential, pair)
        assert_close(found["energies"], expected["energies"], 1e-11)
        assert_close(found["forces"], expected["forces"], 1e-11)

    def test_batch_is_its_structures(self, potential: Potential) -> None:
        """Molecules, crystals, a lone atom, ions and a radical do not see each other."""
        structures = assortment(potential.cutoff)
        batch = evaluate(potential, structures)
        singles = [evaluate(potential, atoms) for atoms in structures]
        for name in PROPERTIES:
            assert_close(batch[name], torch.cat([single[name] for single in singles]), 1e-11)

    def test_padding_is_silent(self, potential: Potential) -> None:
        """Ghost atoms and edges change no result and no gradient of the weights."""
        potential.requires_grad_()
        graph = graph_of(potential, assortment(potential.cutoff))
        padded = pad_graph(
            graph,
            graph.num_atoms + 5,
            graph.num_edges + 17,
            potential.cutoff,
            graph.num_far_pairs + 7,
        )
        before, after = potential(graph, PROPERTIES), potential(padded, PROPERTIES)
        for name in PROPERTIES:
            assert torch.isfinite(after[name][: len(before[name])]).equal(
                torch.isfinite(before[name])
            )
            # Sums in other blocks round otherwise: up to 1.4e-11 (So3krates 2022, published).
            assert_close(after[name][: len(before[name])], before[name], 3e-11)
        assert (after["forces"][graph.num_atoms :] == 0.0).all()
        force_loss(potential, padded).backward()
        gradients = [p.grad for p in potential.parameters() if p.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)

    def test_no_edges(self, potential: Potential) -> None:
        """Empty tensors pass through: atoms too far apart to interact."""
        graph = graph_of(potential, ethanol(), 0.1)
        assert graph.num_edges == 0
        results = potential(graph)
        assert torch.isfinite(results["energy"]).all()
        assert (results["forces"] == 0.0).all()

    def test_float32_is_close_to_float64(self, potential: Potential) -> None:
        structures = assortment(potential.cutoff)
        exact = evaluate(potential, structures)
        single = potential.copy(dtype=torch.float32)
        rounded = evaluate(single, structures)
        assert rounded["forces"].dtype == torch.float32
        assert_close(rounded["energies"], exact["energies"], self.limits.float32_energy)
        assert_close(rounded["forces"].double(), exact["forces"], self.limits.float32_forces)
