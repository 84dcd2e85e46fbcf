"""Dispersion: the original's tables, limits known from theory, smoothness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import Dispersion, DispersionSettings
from ase_geomformer.physics.dispersion import free_atoms, mixed, qdo_energy


def pair_energy(symbols: str, distance: float, ratios: list[float], **settings: Any) -> float:
    """Energy in eV of two atoms."""
    term = Dispersion(DispersionSettings(**{"long_range_cutoff": None, **settings}))
    atoms = Atoms(symbols, positions=[[0, 0, 0], [0, 0, distance]])
    graph = AtomGraph.from_atoms(atoms, 1.0, far_cutoff=term.far_cutoff)
    outputs = {"hirshfeld_ratios": torch.tensor(ratios, dtype=torch.float64)}
    return term(graph, outputs).sum().item()


@pytest.fixture
def tables(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "fixtures" / "so3krates" / "tables.npz"))


def test_free_atoms_are_those_of_the_original_code(tables: dict[str, np.ndarray]) -> None:
    polarizability, c6 = free_atoms()
    np.testing.assert_array_equal(polarizability[1:103], tables["free_atom.alpha_au"])
    np.testing.assert_array_equal(c6[1:103], tables["free_atom.C6_au"])
    # What is not in the table must not pass for an atom without dispersion.
    assert torch.isnan(polarizability[[0, 103, 118]]).all()
    assert torch.isnan(c6[[0, 103, 118]]).all()


def test_pairs_are_those_of_the_original_code(tables: dict[str, np.ndarray]) -> None:
    """Eight elements with ratios from 0.6 to 1.05, at 3 and 6 Å."""
    pairs = np.stack([tables["vdw.i"], tables["vdw.j"]])
    numbers = torch.from_numpy(tables["vdw.Z"][pairs])
    polarizability, c6 = (table[numbers] for table in free_atoms())
    ratios = torch.from_numpy(tables["vdw.hirshfeld"][pairs])
    polarizability, c6 = mixed(polarizability, c6, ratios)
    np.testing.assert_allclose(polarizability, tables["vdw.alpha_ij"], rtol=1e-14)
    np.testing.assert_allclose(c6, tables["vdw.C6_ij"], rtol=1e-14)
    for distance in (3.0, 6.0):
        distances = torch.full_like(c6, distance / Bohr)
        energies = Hartree * qdo_energy(distances, polarizability, c6, scale=1.2)
        expected = tables[f"vdw.energy_eV.r{distance:g}A"]
        np.testing.assert_allclose(energies, expected, rtol=1e-13)


def test_far_apart_it_is_londons_law() -> None:
    """-C6 / d^6, with Slater and Kirkwood's C6 and the ratios squared for like atoms."""
    argon = -Hartree * 64.3 * (Bohr / 100.0) ** 6
    assert pair_energy("Ar2", 100.0, [1.0, 1.0]) == pytest.approx(argon, rel=2e-3)
    assert pair_energy("Ar2", 100.0, [0.8, 0.8]) == pytest.approx(0.64 * argon, rel=2e-3)
    a, c = {"C": 12.0, "O": 5.4}, {"C": 46.6, "O": 15.6}
    mixed_c6 = 2 * c["C"] * c["O"] / (a["O"] / a["C"] * c["C"] + a["C"] / a["O"] * c["O"])
    found = pair_energy("CO", 200.0, [1.0, 1.0])
    assert found == pytest.approx(-Hartree * mixed_c6 * (Bohr / 200.0) ** 6, rel=1e-3)


def test_levels_off_and_never_repels() -> None:
    values = [pair_energy("CO", d, [0.8, 0.9]) for d in (0.0, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_ratio_of_zero_is_no_dispersion() -> None:
    polarizability, c6 = (table[torch.tensor([[6], [8]])] for table in free_atoms())
    ratios = torch.tensor([[0.0], [0.9]], dtype=torch.float64, requires_grad=True)
    pair = mixed(polarizability, c6, ratios)
    energy = qdo_energy(torch.ones(1, dtype=torch.float64), *pair, scale=1.0)
    (slope,) = torch.autograd.grad(energy.sum(), ratios)
    assert energy.item() == 0.0
    assert torch.isfinite(slope).all()


def test_switched_off_over_the_width() -> None:
    for distance, share in ((7.9, 1.0), (9.0, 0.5), (10.0, 0.0), (11.0, 0.0)):
        found = pair_energy("Ar2", distance, [1.0, 1.0], long_range_cutoff=10.0, switch_width=2.0)
        assert found == pytest.approx(share * pair_energy("Ar2", distance, [1.0, 1.0]), rel=1e-12)


def test_two_derivatives() -> None:
    """With respect to distance and ratios, also where the damping rules."""
    distances = torch.tensor([0.2, 3.0, 8.0, 30.0], dtype=torch.float64, requires_grad=True)
    ratios = torch.tensor([[0.7] * 4, [0.9] * 4], dtype=torch.float64, requires_grad=True)
    polarizability, c6 = (table[torch.tensor([[6] * 4, [8] * 4])] for table in free_atoms())

    def energies(distances: torch.Tensor, ratios: torch.Tensor) -> torch.Tensor:
        return 1e3 * qdo_energy(distances, *mixed(polarizability, c6, ratios), scale=1.2)

    assert torch.autograd.gradcheck(energies, (distances, ratios))
    assert torch.autograd.gradgradcheck(energies, (distances, ratios))


def test_every_element_of_the_table_attracts() -> None:
    for symbol in ("H", "Xe", "Cs", "Au", "No"):
        assert atomic_numbers[symbol] <= 102
        assert pair_energy(f"{symbol}2", 5.0, [1.0, 1.0]) < 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"damping_scale": 0.0}, "damping_scale = 0.0 must be positive"),
        ({"long_range_cutoff": 0.0}, "long_range_cutoff = 0.0 must be positive"),
        ({"long_range_cutoff": 1.5}, r"switch_width=2.0 Å .* at most long_range_cutoff=1.5 Å"),
        ({"switch_width": 0.0}, "switch_width = 0.0 must be positive"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DispersionSettings(**settings)
