"""What a step waits for on a GPU: how many edges are short enough, and its results."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.testing.waiting import Waits


def moved(atoms: Atoms) -> Atoms:
    """After a step too short for a new neighbour list."""
    atoms.positions[0] += 0.01
    return atoms


@pytest.mark.parametrize("tables", [False, True])
def test_a_step_asks_for_a_size_once_a_list(
    tables: bool, potential: Potential, ethanol: Atoms, silicon: Atoms
) -> None:
    calculator = PotentialCalculator(potential, device="cpu", radial_tables=tables)
    three = sum((place(ethanol, 8.0 * number) for number in (1, 2)), ethanol.copy())
    for atoms in (three, silicon):
        calculator.get_forces(atoms)
        with Waits() as waits:
            calculator.get_forces(moved(atoms))
        assert waits.counts == {"nonzero": 1}


def place(atoms: Atoms, away: float) -> Atoms:
    """A copy that lies somewhere else; of so few atoms alone NumPy measures the edges."""
    copy = atoms.copy()
    copy.translate((away, 0.0, 0.0))
    return copy


def test_far_pairs_are_another_list(
    make_potential: Callable[..., Potential], silicon: Atoms
) -> None:
    potential = make_potential(cutoff=3.0, charge_width=16, hirshfeld_width=16)
    potential.terms.update(
        build_terms({"electrostatics": {"long_range_cutoff": 8.0}, "dispersion": {}, "zbl": {}})
    )
    calculator = PotentialCalculator(potential, device="cpu", long_range="published")
    calculator.get_forces(silicon)
    with Waits() as waits:
        calculator.get_forces(moved(silicon))
    assert waits.counts == {"nonzero": 2}


def test_the_counter_sees_what_waits() -> None:
    values = torch.arange(3.0)
    with Waits() as waits:
        values[values > 1.0]
        values.index_select(0, torch.tensor([1, 2]))
        values[torch.tensor([0])]
        bool(values.any())
        torch.linalg.det(torch.eye(3))
    assert waits.counts == {"nonzero": 1, "_local_scalar_dense": 1, "_linalg_det": 1}


def test_transfers_on_cuda(potential: Potential, silicon: Atoms) -> None:
    """Positions and cell go there together, the number of edges and all results come back."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    calculator = PotentialCalculator(potential, device="cuda")
    calculator.get_forces(silicon)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            calculator.get_forces(moved(silicon))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert sum("synchronizing" in str(warning.message) for warning in caught) <= 3
