"""The form of the GeoMFormer paper, and forces predicted directly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer.graph.padding import pad_graph
from ase_geomformer.potential import Potential
from ase_geomformer.testing.structures import ethanol, graph_of, triclinic
from ase_geomformer.testing.suite import random_potential
from tests.architectures.geomformer.small import SMALL

PAPER = {
    **SMALL,
    "attention": "all-pairs",
    "scalar_component": False,
    "max_degree": 1,
    "initial_vectors": "centred",
    "forces": "direct",
}
VARIANTS = {
    "neighbours": {**SMALL, "forces": "direct"},
    "vectors": {**SMALL, "forces": "direct", "max_degree": 1},
    "paper": {**PAPER, "equivariant_norm": "joint"},
    "paper, whitening": {**PAPER, "equivariant_norm": "whitening"},
}
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


def forces(potential: Potential, atoms: Atoms) -> torch.Tensor:
    return potential(graph_of(potential, atoms), ("forces",))["forces"]


@pytest.mark.parametrize("turn", [TURN, -TURN], ids=["one", "other"])
@pytest.mark.parametrize("label", VARIANTS)
def test_forces_turn_with_the_molecule(label: str, turn: np.ndarray) -> None:
    """Both a rotation and a reflection, since one of the two matrices is either."""
    potential = random_potential("geomformer", VARIANTS[label])
    here = ethanol()
    there = here.copy()
    there.positions = here.positions @ turn.T + 3.0
    expected = forces(potential, here) @ torch.from_numpy(turn).T
    assert expected.abs().max() > 1e-3
    # Whitening multiplies rounding by up to 1 / sqrt(1e-5) in each of its layers.
    tolerance = 1e-6 if "whitening" in label else 1e-11
    torch.testing.assert_close(forces(potential, there), expected, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("label", VARIANTS)
def test_batch_and_padding_change_nothing(label: str) -> None:
    potential = random_potential("geomformer", VARIANTS[label])
    other = ethanol()
    other.rattle(0.2, seed=5)
    single = forces(potential, ethanol())
    graph = graph_of(potential, [ethanol(), other])
    padded = pad_graph(
        graph, graph.num_atoms + 3, graph.num_edges + 5, potential.cutoff, graph.num_far_pairs + 4
    )
    for batch in (graph, padded):
        found = potential(batch, ("forces",))["forces"][: len(single)]
        torch.testing.assert_close(found, single, rtol=0.0, atol=1e-9)


def test_direct_forces_are_not_called_conservative() -> None:
    potential = random_potential("geomformer", VARIANTS["neighbours"])
    assert not potential.conservative
    assert "stress" not in potential.properties
    results = potential(graph_of(potential, triclinic(potential.cutoff)), ("energy", "forces"))
    assert results["forces"].shape == (3, 3)


@pytest.mark.parametrize("label", ["neighbours", "paper", "paper, whitening"])
def test_every_weight_learns_from_energies_and_forces(label: str) -> None:
    """All of the last block, too, which energies alone leave idle."""
    potential = random_potential("geomformer", VARIANTS[label]).requires_grad_()
    results = potential(graph_of(potential, ethanol()), create_graph=True)
    loss = results["energy"].square().sum() + results["forces"].square().sum()
    parameters: dict[str, Any] = dict(potential.architecture.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.any(), name
