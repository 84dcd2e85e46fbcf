"""The damped Coulomb potential: the original's table, its limits, its smoothness."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.units import kcal, mol

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import Electrostatics, ElectrostaticsSettings
from ase_geomformer.physics.electrostatics import coulomb, neutral, neutral_self

COULOMB = 14.3996454  # eV Å


def energies(atoms: Atoms, charges: list[float], **settings: Any) -> torch.Tensor:
    term = Electrostatics(ElectrostaticsSettings(**settings))
    graph = AtomGraph.from_atoms(atoms, 1.0, far_cutoff=term.far_cutoff)
    return term(graph, {"charges": torch.tensor(charges, dtype=torch.float64)})


@pytest.mark.parametrize(
    ("name", "cutoff"), [("erf.sigma4", None), ("erf_shifted.sigma4.rc12", 12.0)]
)
def test_tables_of_the_original_code(shared: Path, name: str, cutoff: float | None) -> None:
    tables = np.load(shared / "fixtures" / "so3krates" / "tables.npz")
    for distance, expected in zip(
        tables["pair_distance"], tables[f"coulomb.unit_charges.{name}"], strict=True
    ):
        pair = Atoms("H2", [[0, 0, 0], [0, 0, distance]])
        found = energies(
            pair, [1.0, 1.0], damping_length=4.0, long_range_cutoff=cutoff, truncation="published"
        )
        assert found.sum().item() == pytest.approx(expected, abs=1e-12)
        assert found[0] == found[1]


def test_far_apart_it_is_coulombs_law() -> None:
    pair = Atoms("NaCl", [[0, 0, 0], [60.0, 0, 80.0]])
    found = energies(pair, [0.8, -0.5], long_range_cutoff=None)
    assert found.sum().item() == pytest.approx(-0.4 * COULOMB / 100.0, rel=1e-8)


def test_sum_over_images_is_the_brute_force_sum(rng: np.random.Generator) -> None:
    """A small triclinic cell: every image within the cutoff counts, each atom's own too."""
    cell = np.array([[3.0, 0.0, 0.0], [0.9, 3.4, 0.0], [-0.7, 0.5, 3.9]])
    atoms = Atoms("OH2", rng.uniform(0, 3, (3, 3)), cell=cell, pbc=True)
    charges = np.array([-0.7, 0.5, 0.2])
    settings: dict[str, Any] = {"damping_length": 2.0, "long_range_cutoff": 9.0}
    found = energies(atoms, charges.tolist(), **settings, truncation="published")
    images = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3), axis=-1).reshape(-1, 3) @ cell
    between = atoms.positions[None, :, None] - atoms.positions[:, None, None] + images
    distances = torch.from_numpy(np.linalg.norm(between, axis=-1))
    potential = coulomb(distances, 2.0, 9.0)
    potential = torch.where(distances > 1e-9, potential, 0.0).sum(dim=-1).numpy()
    expected = 0.5 * COULOMB * charges * (potential @ charges)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    potential = torch.where(distances > 1e-9, neutral(distances, 2.0, 9.0), 0.0).sum(dim=-1)
    own = neutral_self(2.0, 9.0) * charges**2
    expected = COULOMB * (0.5 * charges * (potential.numpy() @ charges) + own)
    np.testing.assert_allclose(energies(atoms, charges.tolist(), **settings), expected, rtol=1e-8)


def test_potential_and_field_vanish_at_the_cutoff() -> None:
    distances = torch.tensor([12.0 - 1e-4, 12.0, 13.0], dtype=torch.float64, requires_grad=True)
    values = coulomb(distances, 4.0, 12.0)
    (slopes,) = torch.autograd.grad(values.sum(), distances)
    assert abs(values[0]) < 1e-11
    assert abs(slopes[0]) < 1e-6
    assert values[1] == values[2] == slopes[1] == slopes[2] == 0.0


def derivatives(form: Any, distances: list[float]) -> list[torch.Tensor]:
    """Value, slope and curvature at distances, for s = 4 Å and a cutoff of 12 Å."""
    at = torch.tensor(distances, dtype=torch.float64, requires_grad=True)
    found = [form(at, 4.0, 12.0)]
    for _ in range(2):
        found.append(torch.autograd.grad(found[-1].sum(), at, create_graph=True)[0])
    return found


def test_the_neutral_form_ends_with_its_curvature() -> None:
    for values, size in zip(
        derivatives(neutral, [12.0 - 1e-3, 12.0, 13.0]), (1e-12, 1e-9, 1e-5), strict=True
    ):
        assert abs(values[0]) < size
        assert values[1] == values[2] == 0.0
    assert derivatives(coulomb, [12.0 - 1e-3])[2] > 1e-3  # the published form has a step here


@pytest.mark.parametrize("cutoff", [4.0, 12.0])
def test_the_neutral_form_is_wolfs_sum(cutoff: float) -> None:
    """Near an atom: the damped potential less its value at the cutoff; and the self energy."""
    damping = 0.1
    distances = torch.tensor([0.3, 0.4]) * cutoff
    damped = (torch.erf(distances / 2.0) - torch.erf(damping * distances)) / distances
    end = (math.erf(cutoff / 2.0) - math.erf(damping * cutoff)) / cutoff
    torch.testing.assert_close(neutral(distances, 2.0, cutoff), damped - end)
    expected = -0.5 * end - damping / math.sqrt(math.pi)
    assert neutral_self(2.0, cutoff) == pytest.approx(expected, rel=1e-12)


def two_molecules(distance: float) -> tuple[Atoms, list[float]]:
    """Two molecules of water-like charges, one donating to the other."""
    water = np.array([[0.0, 0.0, 0.0], [0.76, 0.0, 0.59], [-0.76, 0.0, 0.59]])
    turned = water @ [[1, 0, 0], [0, 0, 1], [0, -1, 0]] + [0.0, 0.4, -distance]
    return Atoms("OH2OH2", np.concatenate([water, turned])), [-0.8, 0.4, 0.4] * 2


def interaction(distance: float, **settings: Any) -> float:
    """Energy of both molecules less that of each, kcal/mol."""
    pair, charges = two_molecules(distance)
    parts = ((pair, charges), (pair[:3], charges[:3]), (pair[3:], charges[3:]))
    both, one, other = (energies(*part, **settings).sum().item() for part in parts)
    return (both - one - other) * mol / kcal


@pytest.mark.parametrize("distance", [2.9, 3.5, 5.0])
def test_interactions_of_neutral_molecules_converge(distance: float) -> None:
    """kcal/mol: to a hundredth as soon as the switch begins beyond both molecules."""
    exact = interaction(distance, long_range_cutoff=None)
    for cutoff, error in ((10.0, 0.06), (12.0, 0.01), (20.0, 0.01)):
        assert interaction(distance, long_range_cutoff=cutoff) == pytest.approx(exact, abs=error)
    published = interaction(distance, long_range_cutoff=12.0, truncation="published")
    assert published == pytest.approx(exact, abs=0.01)  # while charges stay as they are


def test_the_published_form_misses_the_charges_own_share() -> None:
    charges, cutoff = [-0.8, 0.4, 0.4], 12.0
    water, _ = two_molecules(3.0)
    found = [
        energies(water[:3], charges, long_range_cutoff=cutoff, truncation=form).sum().item()
        for form in ("published", "neutral")
    ]
    exact = energies(water[:3], charges, long_range_cutoff=None).sum().item()
    assert found[1] == pytest.approx(exact, abs=0.002)
    missing = 0.5 * COULOMB / cutoff * sum(charge**2 for charge in charges)
    assert found[0] - exact == pytest.approx(missing, abs=0.002)


@pytest.mark.parametrize("cutoff", [None, 6.0])
def test_two_derivatives(cutoff: float | None) -> None:
    """Inside the damping, across the switch, and beyond the cutoff."""
    distances = torch.tensor([0.05, 1.0, 2.69, 3.5, 5.9, 6.1, 7.0], dtype=torch.float64)
    distances.requires_grad_()
    assert torch.autograd.gradcheck(lambda d: coulomb(d, 2.0, cutoff), distances)
    assert torch.autograd.gradgradcheck(lambda d: coulomb(d, 2.0, cutoff), distances)
    if cutoff is not None:
        assert torch.autograd.gradcheck(lambda d: neutral(d, 2.0, cutoff), distances)
        assert torch.autograd.gradgradcheck(lambda d: neutral(d, 2.0, cutoff), distances)


def test_atoms_on_one_spot_give_numbers() -> None:
    distances = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    value = coulomb(distances, 4.0, 12.0)
    (slope,) = torch.autograd.grad(value, distances, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, distances)
    near = coulomb(torch.tensor([1e-5], dtype=torch.float64), 4.0, 12.0)
    assert value.item() == pytest.approx(near.item(), rel=1e-9)
    assert slope.item() == pytest.approx(0.0, abs=1e-12)
    assert torch.isfinite(curvature)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"damping_length": 0.0}, "damping_length = 0.0 must be positive"),
        ({"long_range_cutoff": -1.0}, "long_range_cutoff = -1.0 must be positive"),
        ({"long_range_cutoff": float("inf")}, "must be a finite number or null"),
        ({"long_range_cutoff": float("nan")}, "must be a finite number or null"),
        ({"truncation": "wolf"}, "truncation = 'wolf' must be"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ElectrostaticsSettings(**settings)
