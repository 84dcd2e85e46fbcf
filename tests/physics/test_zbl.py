from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import ZBL, ZBLSettings

pytestmark = pytest.mark.quick

COULOMB = 14.3996454  # eV Å
EVERYWHERE = {"switch_on": 90.0, "switch_off": 100.0}


def pair_energy(symbols: str, distance: float, **settings: Any) -> float:
    """Energy in eV of two atoms."""
    energies = ZBL(ZBLSettings(**settings))(dimer(symbols, distance), {})
    return energies.sum().item()


def dimer(symbols: str, distance: float) -> AtomGraph:
    atoms = Atoms(symbols, positions=[[0, 0, 0], [0, 0, distance]])
    return AtomGraph.from_atoms(atoms, 5.0)


def cluster(rng: np.random.Generator) -> Atoms:
    """Seven atoms much closer than atoms come."""
    return Atoms("C2H3OSi", positions=rng.uniform(0.0, 1.3, size=(7, 3)))


def forces(term: ZBL, graph: AtomGraph) -> torch.Tensor:
    vectors = graph.edge_vectors.clone().requires_grad_()
    graph = AtomGraph(*(vectors if t is graph.edge_vectors else t for t in graph.tensors))
    energy = term(graph, {}).sum()
    (slope,) = torch.autograd.grad(energy, vectors, create_graph=True)
    empty = torch.zeros(graph.num_atoms, 3, dtype=torch.float64)
    return empty.index_add(0, graph.edge_index[0], slope).index_add(0, graph.edge_index[1], -slope)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("H", "H", 0.05), ("C", "O", 0.4), ("Si", "Si", 1.0), ("H", "Au", 0.7), ("U", "U", 0.1)],
)
def test_universal_potential(first: str, second: str, distance: float) -> None:
    """The published formula, here with the constants as LAMMPS' `pair_style zbl` states them.

    They carry a digit more than those of the original So3krates, which start the parameters.
    """
    a, b = atomic_numbers[first], atomic_numbers[second]
    x = distance * (a**0.23 + b**0.23) / 0.46850
    screening = (
        0.18175 * math.exp(-3.19980 * x)
        + 0.50986 * math.exp(-0.94229 * x)
        + 0.28022 * math.exp(-0.40290 * x)
        + 0.02817 * math.exp(-0.20162 * x)
    )
    expected = COULOMB * a * b / distance * screening
    assert pair_energy(first + second, distance, **EVERYWHERE) == pytest.approx(expected, rel=1e-3)


def test_silicon_at_one_angstrom() -> None:
    """51 eV, worked out by hand."""
    assert pair_energy("Si2", 1.0, **EVERYWHERE) == pytest.approx(51.0, abs=0.1)


def test_bare_nuclei_at_the_shortest_range() -> None:
    """The screening starts from one: q q / r remains."""
    bare = COULOMB * 6 * 8 / 1e-5
    assert pair_energy("CO", 1e-5, **EVERYWHERE) == pytest.approx(bare, rel=1e-3)


def test_switched_off() -> None:
    unswitched, switched = pair_energy("C2", 0.75, **EVERYWHERE), pair_energy("C2", 0.75)
    assert switched == pytest.approx(0.5 * unswitched, rel=1e-12)
    assert pair_energy("C2", 1.5) == pair_energy("C2", 3.0) == 0.0
    assert pair_energy("C2", 1.49) >= 0.0
    assert ZBL(ZBLSettings()).cutoff == 1.5


def test_covalent_fraction_ends_each_pair_at_its_own_range() -> None:
    settings = {"switch_off": 2.0, "covalent_fraction": 0.75}
    for pair in ("OH", "CO", "C2"):
        end = 0.75 * sum(covalent_radii[atomic_numbers[symbol]] for symbol in Atoms(pair).symbols)
        unswitched = pair_energy(pair, 0.5 * end, **EVERYWHERE)
        assert pair_energy(pair, 0.5 * end, **settings) == pytest.approx(0.5 * unswitched)
        assert pair_energy(pair, 0.99 * end, **settings) >= 0.0
        assert pair_energy(pair, end, **settings) == 0.0
    # Two caesium atoms would reach to 3.7 Å.
    assert pair_energy("Cs2", 1.0, **settings) == pair_energy("Cs2", 1.0, switch_off=2.0)
    assert pair_energy("Cs2", 2.0, **settings) == 0.0
    assert ZBL(ZBLSettings(**settings)).cutoff == 2.0


def test_cutoff_function_multiplies() -> None:
    cosine = 0.5 * (1.0 + math.cos(math.pi * 1.0 / 4.0))
    plain = pair_energy("NO", 1.0)
    assert pair_energy("NO", 1.0, cutoff_function="cosine", cutoff=4.0) == pytest.approx(
        plain * cosine
    )


def test_shared_equally_by_the_two_atoms() -> None:
    energies = ZBL(ZBLSettings())(dimer("HAu", 0.9), {})
    assert energies[0] == energies[1] > 0.0


@pytest.mark.parametrize("fraction", [None, 0.8])
def test_forces_are_the_slope_of_the_energy(
    rng: np.random.Generator, fraction: float | None
) -> None:
    atoms, term, step = cluster(rng), ZBL(ZBLSettings(covalent_fraction=fraction)), 1e-5
    found = forces(term, AtomGraph.from_atoms(atoms, 1.5)).detach().numpy()
    expected = np.zeros_like(found)
    for atom, axis in np.ndindex(*found.shape):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(term(AtomGraph.from_atoms(moved, 1.5), {}).sum().item())
        expected[atom, axis] = -(energies[0] - energies[1]) / (2 * step)
    assert np.abs(expected).max() > 10.0
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_weight_gradients_of_a_force_loss(rng: np.random.Generator) -> None:
    """All ten numbers learn from forces; each slope is that of the loss."""
    term, graph, step = ZBL(ZBLSettings()), AtomGraph.from_atoms(cluster(rng), 1.5), 1e-6

    def loss() -> torch.Tensor:
        return (forces(term, graph) ** 2).mean()

    gradients = torch.autograd.grad(loss(), list(term.parameters()))
    for parameter, gradient in zip(term.parameters(), gradients, strict=True):
        for index in np.ndindex(*parameter.shape):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter[index] += sign * step
                values.append(loss().item())
                with torch.no_grad():
                    parameter[index] -= sign * step
            expected = (values[0] - values[1]) / (2 * step)
            assert expected != 0.0
            assert gradient[index].item() == pytest.approx(expected, rel=1e-5)


def test_coincident_atoms_give_numbers() -> None:
    graph, term = dimer("CH", 0.0), ZBL(ZBLSettings())
    assert term(graph, {}).sum().item() > 1e6
    found = forces(term, graph)
    assert torch.isfinite(found).all()
    (found**2).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in term.parameters())


def test_float32_is_close_to_float64(rng: np.random.Generator) -> None:
    graph = AtomGraph.from_atoms(cluster(rng), 1.5)
    exact = ZBL(ZBLSettings())(graph, {})
    rounded = ZBL(ZBLSettings()).float()(graph.to(dtype=torch.float32), {})
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"switch_on": 2.0}, "switch_on=2.0"),
        ({"switch_on": -1.0}, "switch_on = -1.0 must be zero or positive"),
        ({"covalent_fraction": 0.0}, "covalent_fraction = 0.0 must be positive"),
        ({"cutoff_function": "step"}, "'step'.*cosine"),
        ({"cutoff": 0.0}, "cutoff = 0.0 must be positive"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ZBLSettings(**settings)
