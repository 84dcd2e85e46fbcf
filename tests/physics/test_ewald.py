"""Ewald's sum: Madelung's constant, derivatives, and what it means for a potential."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from torchpme import CoulombPotential, EwaldCalculator

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.acceleration import CompiledPotential
from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import Card, load_folder, save_potential
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import Ewald, EwaldSettings, build_terms, with_ewald_sum
from ase_geomformer.physics.reciprocal import multiples
from ase_geomformer.potential import Potential

COULOMB = 14.3996454  # eV Å
MADELUNG_NACL = 1.747564594633182


def energy(atoms: Atoms, charges: list[float], **settings: object) -> float:
    graph = AtomGraph.from_atoms(atoms, 1.0)
    term = Ewald(EwaldSettings(**settings))  # type: ignore[arg-type]
    return float(term(graph, {"charges": torch.tensor(charges, dtype=torch.float64)}).sum())


def potential(terms: dict[str, dict[str, object]]) -> Potential:
    """A small random network whose charges are far from zero."""
    torch.manual_seed(0)
    settings = {
        "cutoff": 4.0, "num_features": 8, "num_layers": 1, "num_heads": 2, "degrees": [1, 2],
        "num_radial_basis": 4, "charge_width": 8, "avg_num_neighbors": 10.0, "energy_width": 8,
    }  # fmt: skip
    architecture = build("so3krates", settings)
    with torch.no_grad():
        for parameter in architecture.parameters():
            parameter += 0.6 * torch.randn_like(parameter)
    return Potential(architecture, ["Na", "Cl"], terms=build_terms(terms)).eval()


@pytest.fixture
def salt() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.rattle(0.1, seed=4)
    atoms.set_cell(atoms.cell.array @ [[1.02, 0.03, 0], [0, 0.98, 0.01], [0, 0, 1]], True)
    return atoms


@pytest.mark.parametrize("method", ["ewald", "pme"])
def test_madelungs_constant_of_rock_salt(method: str) -> None:
    # With a damping of 0.5 Å, ions 2.82 Å apart are point charges to 14 digits.
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    found = energy(atoms, [1.0, -1.0] * 4, damping_length=0.5, method=method)
    expected = -4 * MADELUNG_NACL * COULOMB / 2.82
    assert found == pytest.approx(expected, rel=1e-8 if method == "ewald" else 1e-5)


def test_the_sum_is_converged_and_extensive(salt: Atoms, rng: np.random.Generator) -> None:
    charges = rng.normal(size=len(salt))
    charges -= charges.mean()
    once = energy(salt, charges.tolist())
    assert energy(salt, charges.tolist(), precision=1e-20) == pytest.approx(once, abs=1e-10)
    twice = energy(salt.repeat((2, 1, 1)), [*charges, *charges])
    assert twice == pytest.approx(2 * once, abs=1e-9)


def test_far_apart_charges_of_a_wide_cell_obey_coulombs_law() -> None:
    """Two opposite charges, and the field of their images: -2 pi p^2 / 3 V in a cubic crystal."""
    pair = Atoms("NaCl", [[0, 0, 0], [12.0, 0, 0]], cell=[300, 300, 300], pbc=True)
    found = energy(pair, [1.0, -1.0], precision=1e-10)
    direct = -math.erf(12.0 / 4.0) / 12.0
    images = -2 * math.pi / 3 * 12.0**2 / 300.0**3
    assert found == pytest.approx(COULOMB * (direct + images), abs=1e-6)


@pytest.mark.parametrize("net", [0.0, 1.3])
@pytest.mark.parametrize("place", [0.0, 1e4])
def test_it_is_the_sum_of_torch_pme(net: float, place: float, rng: np.random.Generator) -> None:
    """Wave by wave, in a skewed cell, with and without a net charge, wherever the atoms lie."""
    cell = np.diag([11.0, 12.5, 9.0]) + rng.normal(size=(3, 3))
    atoms = Atoms("Na30", rng.uniform(0.0, 20.0, (30, 3)) + place, cell=cell, pbc=True)
    charges = rng.normal(size=30)
    charges += net / 30 - charges.mean()
    graph = AtomGraph.from_atoms(atoms, 1.0)
    found = Ewald(EwaldSettings())(graph, {"charges": torch.from_numpy(charges)})
    smearing = 4.0 / math.sqrt(2.0)
    shortest = math.pi / math.sqrt(2.0 * math.log(1e14)) * smearing
    calculator = EwaldCalculator(CoulombPotential(smearing=smearing).double(), shortest).double()
    expected = calculator(
        torch.from_numpy(charges)[:, None],
        torch.from_numpy(cell),
        torch.from_numpy(atoms.positions),
        torch.zeros(0, 2, dtype=torch.int64),
        torch.zeros(0, dtype=torch.float64),
    )[:, 0]
    expected = COULOMB * charges * expected.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_a_fixed_number_of_waves_changes_nothing(salt: Atoms, rng: np.random.Generator) -> None:
    """As compiled code has it: several structures at once, one of them without a cell."""
    structures = [salt, salt.repeat((1, 2, 1)), Atoms("Na", [[0.0, 0.0, 0.0]])]
    graph = AtomGraph.from_atoms(structures, 1.0)
    charges = torch.from_numpy(rng.normal(size=graph.num_atoms))
    term = Ewald(EwaldSettings())
    alone = [
        term(part, {"charges": charges[graph.batch == index]})
        for index, part in enumerate(graph.split())
        if index < 2
    ]
    waves = term.waves(graph)
    more = (waves[0] + 2, waves[1] + 1, waves[2])
    with term.with_waves(multiples(more, graph.positions)):
        together = term(graph, {"charges": charges})
    np.testing.assert_allclose(together[:-1], torch.cat(alone), atol=1e-10)
    # Two derivatives, also beside the structure without a cell.
    positions = graph.positions.clone().requires_grad_()
    with term.with_waves(multiples(waves, graph.positions)):
        energy = term(replace(graph, positions=positions), {"charges": charges})[:-1].sum()
    (slope,) = torch.autograd.grad(energy, positions, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.square().sum(), positions)
    assert torch.isfinite(curvature).all()


def test_single_precision_is_close(salt: Atoms) -> None:
    model = potential({"ewald": {}})
    exact, rounded = (
        PotentialCalculator(model, device="cpu", dtype=kind).get_property("forces", salt)
        for kind in ("float64", "float32")
    )
    np.testing.assert_allclose(rounded, exact, atol=1e-4 * np.abs(exact).max())


def test_compiled_it_follows_a_breathing_cell(salt: Atoms) -> None:
    """Code for one cell serves cells nearby; for others it is compiled anew."""
    model = potential({"ewald": {}, "zbl": {}})
    compiled = CompiledPotential(model, backend="eager")
    names = ("energy", "forces")
    for scale in (1.0, 1.02, 2.2):
        atoms = salt.copy()
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        graph = AtomGraph.from_atoms(atoms, model.cutoff)
        expected = model(graph, names)
        found = compiled(graph, names)
        for name in names:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-11)
    assert compiled.compilations == 2


def test_pme_is_close_to_the_direct_sum(salt: Atoms) -> None:
    results = [
        PotentialCalculator(potential({"ewald": {"method": method}}), device="cpu").get_property(
            "forces", salt
        )
        for method in ("ewald", "pme")
    ]
    assert np.abs(results[0]).max() > 0.01
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_forces_and_stress_are_slopes_of_the_energy(salt: Atoms) -> None:
    calculator = PotentialCalculator(potential({"ewald": {}, "zbl": {}}), device="cpu")
    forces = calculator.get_property("forces", salt)
    stress = calculator.get_property("stress", salt)
    step = 1e-4

    def energy_of(atoms: Atoms) -> float:
        return float(calculator.get_property("energy", atoms))

    for atom, axis in ((0, 0), (5, 2)):
        slopes = []
        for sign in (1, -1):
            moved = salt.copy()
            moved.positions[atom, axis] += sign * step
            slopes.append(sign * energy_of(moved))
        assert -sum(slopes) / (2 * step) == pytest.approx(forces[atom, axis], abs=1e-6)
    for component, (row, column) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        slopes = []
        for sign in (1, -1):
            deformation = np.eye(3)
            deformation[row, column] += sign * step / 2
            deformation[column, row] += sign * step / 2
            strained = salt.copy()
            strained.set_cell(salt.cell.array @ deformation, scale_atoms=True)
            slopes.append(sign * energy_of(strained))
        slope = sum(slopes) / (2 * step) / salt.get_volume()
        assert slope == pytest.approx(stress[component], abs=1e-7)


def test_batches_equal_single_structures(salt: Atoms) -> None:
    model = potential({"ewald": {}})
    structures = [salt, salt.repeat((1, 2, 1)), bulk("NaCl", "rocksalt", a=5.7)]
    found = evaluate_many(structures, model, ("energy", "forces", "stress"), device="cpu")
    calculator = PotentialCalculator(model, device="cpu")
    for atoms, results in zip(structures, found, strict=True):
        for name, value in results.items():
            np.testing.assert_allclose(value, calculator.get_property(name, atoms), atol=1e-10)


def test_tables_in_float32_keep_it(salt: Atoms) -> None:
    """Their probe structures must be crystals, too."""
    charged = potential({"electrostatics": {"long_range_cutoff": 8.0}})
    exact, single = (
        PotentialCalculator(charged, device="cpu", dtype=dtype, ewald=True)
        for dtype in ("float64", "float32")
    )
    assert single.table_errors is not None
    forces = (calculator.get_property("forces", salt) for calculator in (exact, single))
    np.testing.assert_allclose(*forces, atol=2e-4)


def test_it_takes_the_place_of_the_truncated_sum(salt: Atoms) -> None:
    truncated = potential({"electrostatics": {"damping_length": 3.0}, "zbl": {}})
    calculator = PotentialCalculator(truncated, device="cpu", ewald=True)
    terms = calculator.potential.terms_settings
    assert set(terms) == {"ewald", "zbl"}
    assert terms["ewald"]["damping_length"] == 3.0
    assert with_ewald_sum(terms) == terms
    # The truncated sum goes to the whole one as its cutoff grows, but for the shift.
    whole = calculator.get_property("forces", salt)
    errors = []
    for cutoff in (8.0, 24.0):
        other = PotentialCalculator(truncated, device="cpu", long_range_cutoff=cutoff)
        errors.append(np.abs(other.get_property("forces", salt) - whole).max())
    assert errors[1] < 0.2 * errors[0]
    with pytest.raises(ValueError, match="ewald=True has nothing to act on"):
        PotentialCalculator(potential({"zbl": {}}), ewald=True)


def test_what_a_lattice_sum_cannot_give_is_refused(salt: Atoms) -> None:
    calculator = PotentialCalculator(potential({"ewald": {}}), device="cpu", ewald=True)
    assert "stresses" not in calculator.implemented_properties
    with pytest.raises(PropertyNotImplementedError, match="stresses cannot be computed"):
        calculator.calculate(salt, ["stresses"])
    salt.pbc = [True, True, False]
    with pytest.raises(ValueError, match="periodic in three directions, and this one has pbc"):
        calculator.calculate(salt, ["energy"])


def test_it_is_stored_with_the_potential(salt: Atoms, tmp_path: object) -> None:
    folder = f"{tmp_path}/salt"
    save_potential(potential({"ewald": {"precision": 1e-9}}), folder, Card("salt"), [salt])
    assert load_folder(folder).terms_settings["ewald"]["precision"] == 1e-9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"damping_length": 0.0}, "damping_length = 0.0 must be positive"),
        ({"method": "fmm"}, "method = 'fmm' must be one of ewald, pme"),
        ({"precision": 2.0}, "precision = 2.0 must be positive and at most 0.1"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EwaldSettings(**settings)  # type: ignore[arg-type]
