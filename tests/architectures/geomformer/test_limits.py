"""Why GeoMFormer has scalars among its vectors and constants by element: what fails without.

The tables behind these checks are those of the specification (sections 16.2, 16.3), measured there
on other random weights; here the same contrast is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk

from ase_geomformer.architectures import Architecture, build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.testing.structures import dimer
from tests.architectures.geomformer.small import SMALL

DISPLACEMENTS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
VECTORS_ONLY = {"scalar_component": False, "forces": "direct", "max_degree": 1}


def architecture(**settings: Any) -> Architecture:
    torch.manual_seed(0)
    return build("geomformer", {**SMALL, "cutoff": 5.0, **settings}).requires_grad_(False)


def slope_of_energy(model: Architecture, graph: AtomGraph, moved: torch.Tensor) -> torch.Tensor:
    """dE/du as every edge (E,) grows by u times its vector in ``moved`` (E, 3)."""
    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    graph = replace(graph, edge_vectors=graph.edge_vectors + shift * moved)
    (slope,) = torch.autograd.grad(model(graph)["energies"].sum(), shift)
    return slope


def force_constants(model: Architecture) -> np.ndarray:
    """Slope of the energy over displacement of one atom of fcc aluminium, eV/Å^2."""
    direction = np.array([0.6, 0.48, 0.64])
    found = []
    for displacement in DISPLACEMENTS:
        atoms = bulk("Al", "fcc", a=4.05, cubic=True)
        atoms.positions[0] += displacement * direction
        graph = AtomGraph.from_atoms(atoms, model.cutoff)
        receiver, sender = graph.edge_index
        moves = (sender == 0).double() - (receiver == 0).double()
        slope = slope_of_energy(model, graph, moves[:, None] * torch.from_numpy(direction))
        found.append(float(slope) / displacement)
    return np.array(found)


def test_scalars_among_vectors_give_force_constants() -> None:
    """Constant to 1 % from 1e-2 down to 1e-7 Å, at a site where symmetry cancels every vector."""
    constants = force_constants(architecture())
    assert abs(constants[-1]) > 1e-4
    np.testing.assert_allclose(constants, constants[-1], rtol=0.01)


@pytest.mark.parametrize("norm", ["joint", "whitening"])
def test_vectors_alone_have_no_force_constants(norm: str) -> None:
    """What is refused for forces by gradient: the ratio grows by orders as the atom comes home."""
    constants = force_constants(architecture(**VECTORS_ONLY, equivariant_norm=norm))
    assert np.abs(constants[3:]).max() > 1e3 * np.abs(constants[0])


@contextmanager
def without_constants(model: Any) -> Iterator[Any]:
    """The equivariant stream of a lone atom is then zero, for its norm to divide by."""
    table = model.initial.elements_e.weight
    kept = table.clone()
    table.zero_()
    yield model
    table.copy_(kept)


def largest_force(model: Architecture, distances: tuple[float, ...]) -> float:
    slopes = []
    for distance in distances:
        graph = AtomGraph.from_atoms(dimer("CO", distance), model.cutoff)
        along = graph.edge_vectors / graph.edge_vectors.norm(dim=1, keepdim=True)
        slopes.append(abs(float(slope_of_energy(model, graph, along))))
    return max(slopes)


def test_constants_by_element_let_the_last_neighbour_go_quietly() -> None:
    """Forces of a dimer fade towards the cutoff of 5 Å, although what is received is normalised.

    Without them forces near the cutoff exceed those at 4 Å: the norm keeps alive what the
    vanishing neighbour sends.
    """
    model, tail = architecture(), (4.9, 4.95, 4.99)
    middle = largest_force(model, (3.5, 4.0))
    assert middle > 1e-6
    assert largest_force(model, tail) < 0.1 * middle
    with without_constants(model) as bare:
        assert largest_force(bare, tail) > largest_force(bare, (3.5, 4.0))
