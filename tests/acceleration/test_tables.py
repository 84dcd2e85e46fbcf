"""Radial tables: close to the networks, exact derivatives, and energy as well conserved."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.md.verlet import VelocityVerlet
from torch.fx.experimental.proxy_tensor import make_fx

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import CompiledPotential
from ase_geomformer.acceleration.tables import COARSEST, TableErrors, probe_graph, tabulate
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.radial import RadialFunction
from ase_geomformer.layers.spline import SplineGrid, SplineTable
from ase_geomformer.potential import Potential
from ase_geomformer.testing.suite import random_potential

CUTOFF = 4.0


def spline(intervals: int, *, seed: int = 0) -> tuple[SplineGrid, SplineTable]:
    generator = torch.Generator().manual_seed(seed)
    coefficients = torch.randn(intervals + 5, 7, generator=generator, dtype=torch.float64)
    return SplineGrid(intervals, CUTOFF), SplineTable(coefficients)


def tabulated(potential: Potential, **tolerances: float) -> tuple[Potential, TableErrors]:
    copied = potential.copy()
    return copied, tabulate(copied, **tolerances)


# The spline itself


def test_values_are_those_of_scipy() -> None:
    from scipy.interpolate import BSpline

    grid, table = spline(16)
    knots = CUTOFF / 16 * np.arange(-5, 22)
    reference = BSpline(knots, table.coefficients.numpy(), 5)
    places = np.linspace(0.0, CUTOFF, 301)
    distances = torch.from_numpy(places).requires_grad_()
    values = table(grid(distances))
    np.testing.assert_allclose(values.detach(), reference(places), atol=1e-12)
    for order in (1, 2, 3):
        ones = torch.ones_like(distances)
        summed = values.sum(dim=1)
        for _ in range(order):
            (summed,) = torch.autograd.grad(summed, distances, ones, create_graph=True)
        expected = reference.derivative(order)(places).sum(axis=1)
        # The last derivative may jump at the knots themselves.
        scale = np.abs(expected).max()
        np.testing.assert_allclose(summed.detach(), expected, atol=1e-10 * scale)


def test_derivatives_are_exact() -> None:
    grid, table = spline(8)
    distances = torch.linspace(0.3, 3.7, 11, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: table(grid(d)), distances)
    assert torch.autograd.gradgradcheck(lambda d: table(grid(d)), distances)


def test_constant_beyond_the_cutoff() -> None:
    grid, table = spline(8)
    distances = torch.tensor([CUTOFF, 1.5 * CUTOFF, 9.0], dtype=torch.float64).requires_grad_()
    values = table(grid(distances))
    assert torch.allclose(values[1:], values[:1].expand(2, -1), rtol=0, atol=1e-12)
    (slope,) = torch.autograd.grad(values.sum(), distances)
    assert (slope[1:] == 0.0).all()


def test_the_compiler_sees_the_same_function() -> None:
    grid, table = spline(8)

    def both(distances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            leaf = distances.detach().requires_grad_()
            values = table(grid(leaf))
            return values, torch.autograd.grad((values**2).sum(), leaf)[0]

    distances = torch.linspace(0.0, 4.5, 33, dtype=torch.float64)
    graph = make_fx(both)(distances)
    for found, expected in zip(graph(distances), both(distances), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


# Tables in place of networks


def test_errors_are_within_the_bounds(potential: Potential, water_box: Atoms) -> None:
    """On structures that the bounds were not set on."""
    fast, errors = tabulated(potential)
    assert errors.energy_eV_per_atom <= 1e-6
    assert errors.forces_eV_per_A <= 1e-5
    for atoms in (water_box, molecule("CH3CH2OH")):
        graph = AtomGraph.from_atoms(atoms, potential.cutoff)
        exact, found = (it(graph, ("energies", "forces", "energy")) for it in (potential, fast))
        assert (exact["energies"] - found["energies"]).abs().max() <= 1e-6
        assert (exact["forces"] - found["forces"]).abs().max() <= 1e-5
        # They are tables indeed.
        assert not torch.equal(exact["energies"], found["energies"])


def test_closer_bounds_make_finer_grids(potential: Potential) -> None:
    _, loose = tabulated(potential, energy_tolerance_eV_per_atom=1e-3, force_tolerance_eV_per_A=0.1)
    _, close = tabulated(
        potential, energy_tolerance_eV_per_atom=1e-10, force_tolerance_eV_per_A=1e-9
    )
    assert loose.num_intervals < close.num_intervals
    assert close.forces_eV_per_A <= 1e-9 < loose.forces_eV_per_A
    with pytest.raises(ValueError, match=r"8192 intervals errors are still .*do without tables"):
        tabulated(potential, energy_tolerance_eV_per_atom=1e-20)


def test_forces_are_the_slope_of_the_tabulated_energy(potential: Potential, ethanol: Atoms) -> None:
    """Of a coarse table, whose energy is wrong by more than this test allows forces to be."""
    fast, _ = tabulated(potential, energy_tolerance_eV_per_atom=1.0, force_tolerance_eV_per_A=1.0)
    calculator = PotentialCalculator(potential, device="cpu", radial_tables=False)
    calculator.prepared.function = fast
    atoms = ethanol.copy()
    atoms.calc = calculator
    step = 1e-4
    for index, axis in ((0, 0), (4, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index, axis] += sign * step
            energies.append(calculator.get_property("energy", moved))
        slope = (energies[0] - energies[1]) / (2 * step)
        assert atoms.get_forces()[index, axis] == pytest.approx(-slope, abs=1e-7)


def test_probes_hold_all_elements_and_distances(potential: Potential) -> None:
    graph = probe_graph(potential)
    assert set(graph.atomic_numbers.tolist()) == set(potential.elements)
    lengths = graph.edge_vectors.norm(dim=1)
    assert lengths.min() < 0.6
    gaps = lengths.sort().values.diff()
    assert gaps.max() < 0.25


def test_copies_have_their_networks_again(potential: Potential, ethanol: Atoms) -> None:
    fast, _ = tabulated(potential)
    assert fast.state_dict().keys() == potential.state_dict().keys()
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    # To rounding: gradients of the copy, whose weights are frozen, are written out.
    torch.testing.assert_close(
        fast.copy()(graph)["energy"], potential(graph)["energy"], rtol=1e-13, atol=0.0
    )
    for carried in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert torch.equal(carried(graph)["forces"], fast(graph)["forces"])


def test_architectures_without_such_filters_are_refused(
    potential: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_geomformer.acceleration.tables._functions", lambda potential: iter(()))
    with pytest.raises(ValueError, match="so3krates has no filters of the distance alone"):
        tabulate(potential.copy())


OTHERS = {
    "geomformer": ("geomformer", {"num_features": 16, "num_heads": 2}),
    "est": ("est", {"num_channels": 8, "num_heads": 2, "avg_num_neighbors": 8.0}),
    "est so2": (
        "est",
        {
            "num_channels": 8,
            "num_heads": 2,
            "avg_num_neighbors": 8.0,
            "messages": "so2",
            "attention_width": 8,
        },
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_read_all_filters_from_tables(name: str, ethanol: Atoms) -> None:
    """And their forces are the slope of that energy, of a table as coarse as can be."""
    architecture, settings = OTHERS[name]
    potential = random_potential(architecture, {"cutoff": 4.0, "num_radial_basis": 8, **settings})
    fast, errors = tabulated(
        potential, energy_tolerance_eV_per_atom=1.0, force_tolerance_eV_per_A=1.0
    )
    assert errors.num_intervals == COARSEST
    functions = [module for module in fast.modules() if isinstance(module, RadialFunction)]
    assert functions
    assert all(function.table is not None for function in functions)
    assert fast.state_dict().keys() == potential.state_dict().keys()
    direction = np.random.default_rng(0).normal(size=ethanol.positions.shape)
    energies = []
    for step in (2e-5, -2e-5):
        moved = ethanol.copy()
        moved.positions += step * direction
        graph = AtomGraph.from_atoms(moved, fast.cutoff)
        energies.append(fast(graph, ("energy",))["energy"].item())
    graph = AtomGraph.from_atoms(ethanol, fast.cutoff)
    found, exact = (it(graph, ("energy", "forces")) for it in (fast, potential))
    slope = (energies[0] - energies[1]) / 4e-5
    assert slope == pytest.approx(-(found["forces"].numpy() * direction).sum(), abs=1e-6)
    assert not torch.equal(found["energy"], exact["energy"])


def test_filters_that_go_on_beyond_the_cutoff_have_none() -> None:
    """All pairs of a molecule, however far apart, are more than a table to the cutoff holds."""
    settings = {"cutoff": 4.0, "num_features": 16, "num_heads": 2, "attention": "all-pairs"}
    potential = random_potential("geomformer", settings)
    with pytest.raises(ValueError, match="geomformer has no filters .* that end at its cutoff"):
        tabulate(potential)
    calculator = PotentialCalculator(potential, device="cpu", dtype="float32")
    assert calculator.table_errors is None


# In the calculator


def test_float32_has_tables_and_float64_has_none(potential: Potential) -> None:
    for dtype, expected in (("float32", True), ("float64", False)):
        calculator = PotentialCalculator(potential, device="cpu", dtype=dtype)
        assert (calculator.table_errors is not None) == expected
        assert calculator.parameters["radial_tables"] == expected
    chosen = PotentialCalculator(potential, device="cpu", dtype="float64", radial_tables=True)
    assert chosen.table_errors is not None


def test_linear_maps_are_left_alone_unless_asked_for() -> None:
    name = "geomformer-rmd17-ethanol"
    assert not PotentialCalculator(name, device="cpu", dtype="float32").parameters["radial_tables"]
    tabulated = PotentialCalculator(name, device="cpu", dtype="float32", radial_tables=True)
    assert tabulated.table_errors is not None


def test_float32_tables_are_as_good_as_float32(potential: Potential, water_box: Atoms) -> None:
    exact = PotentialCalculator(potential, device="cpu", dtype="float64")
    plain, tables = (
        PotentialCalculator(potential, device="cpu", dtype="float32", radial_tables=on)
        for on in (False, True)
    )
    expected = exact.get_property("forces", water_box)
    rounding, error = (
        np.abs(it.get_property("forces", water_box) - expected).max() for it in (plain, tables)
    )
    assert error <= 2.0 * rounding + 1e-5


def test_padding_and_tables(potential: Potential, silicon: Atoms) -> None:
    plain = PotentialCalculator(potential, device="cpu", radial_tables=True)
    padded = PotentialCalculator(potential, device="cpu", radial_tables=True)
    padded.prepared.function = CompiledPotential(padded.prepared.potential)
    padded.prepared.function.backend = "eager"
    for name in ("energy", "forces", "stress"):
        np.testing.assert_allclose(
            padded.get_property(name, silicon), plain.get_property(name, silicon), atol=1e-11
        )


def test_energy_is_conserved_as_without_tables(
    make_potential: Callable[..., Potential], ethanol: Atoms
) -> None:
    """Drift of 300 steps of 0.5 fs, with the coarsest table there is."""
    potential = make_potential(energy_scale=3.0)
    totals = {}
    for tables in (False, True):
        atoms = ethanol.copy()
        atoms.calc = PotentialCalculator(potential, device="cpu", radial_tables=tables)
        rng = np.random.default_rng(0)
        spread = np.sqrt(300 * units.kB * atoms.get_masses())[:, None]
        atoms.set_momenta(spread * rng.normal(size=(len(atoms), 3)))
        dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
        energies = []
        dynamics.attach(lambda atoms=atoms, into=energies: into.append(atoms.get_total_energy()))
        dynamics.run(300)
        totals[tables] = np.array(energies)
    drift = {tables: np.abs(values - values[0]).max() for tables, values in totals.items()}
    assert math.isclose(drift[True], drift[False], rel_tol=0.05)
    assert drift[True] < 0.1
