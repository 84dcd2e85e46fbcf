"""Which long-range sums structures get, by their boundaries or the user's word."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.units import Bohr, Hartree

from ase_geomformer.architectures import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import (
    Electrostatics,
    ElectrostaticsSettings,
    Ewald,
    EwaldSettings,
    LongRange,
    boundaries_of,
    build_terms,
    neutralised,
)
from ase_geomformer.potential import Potential

COULOMB = Hartree * Bohr  # eV Å
PUBLISHED = {
    "zbl": {},
    "electrostatics": {
        "damping_length": 3.0,
        "long_range_cutoff": 9.0,
        "truncation": "published",
    },
    "dispersion": {"damping_scale": 1.2, "long_range_cutoff": 10.0, "switch_width": 2.0},
}


OPEN = (False, False, False)
WIRE = (False, True, False)
SLAB = (True, False, True)
CRYSTAL = (True, True, True)


def test_boundaries_are_plain_truth_values() -> None:
    found = boundaries_of(Atoms("H", pbc=[True, False, True]))
    assert found == SLAB
    assert all(type(entry) is bool for entry in found)


def test_by_itself_each_structure_gets_the_sum_that_is_right() -> None:
    choice = LongRange()
    free = choice.terms(PUBLISHED, OPEN)
    assert free["electrostatics"]["long_range_cutoff"] is None
    assert free["dispersion"]["long_range_cutoff"] is None
    for boundaries, open_axis in ((CRYSTAL, None), (SLAB, 1)):
        assert choice.terms(PUBLISHED, boundaries) == {
            "zbl": {},
            "ewald": {"damping_length": 3.0, "open_axis": open_axis},
            "dispersion": PUBLISHED["dispersion"],
        }
    wire = choice.terms(PUBLISHED, WIRE)
    assert wire["electrostatics"] == {**PUBLISHED["electrostatics"], "truncation": "neutral"}
    assert wire["dispersion"] == PUBLISHED["dispersion"]


def test_what_was_trained_without_a_cutoff_gets_the_usual_one() -> None:
    terms = {"electrostatics": {"damping_length": 3.0, "long_range_cutoff": None}}
    assert LongRange().terms(terms, WIRE)["electrostatics"]["long_range_cutoff"] == 12.0
    terms = {"dispersion": {"long_range_cutoff": None}}
    assert LongRange().terms(terms, CRYSTAL)["dispersion"]["long_range_cutoff"] == 12.0


def test_what_was_trained_with_ewald_has_a_sum_for_molecules_too() -> None:
    terms = {"ewald": {"damping_length": 2.0, "method": "pme", "precision": 1e-9}}
    assert LongRange().terms(terms, CRYSTAL) == {"ewald": {**terms["ewald"], "open_axis": None}}
    free = LongRange().terms(terms, OPEN)
    assert free["electrostatics"]["damping_length"] == 2.0
    assert free["electrostatics"]["long_range_cutoff"] is None
    assert LongRange().terms(terms, WIRE)["electrostatics"]["long_range_cutoff"] == 12.0


@pytest.mark.parametrize("kind", [OPEN, WIRE, SLAB, CRYSTAL])
def test_the_users_word_holds_whatever_the_boundaries(kind: Any) -> None:
    assert LongRange("published").terms(PUBLISHED, kind) == PUBLISHED
    cut = LongRange(cutoff=7.0).terms(PUBLISHED, kind)
    assert cut["electrostatics"] == {
        "damping_length": 3.0,
        "long_range_cutoff": 7.0,
        "truncation": "neutral",
    }
    assert cut["dispersion"]["long_range_cutoff"] == 7.0
    old = LongRange("published", cutoff=7.0).terms(PUBLISHED, kind)
    assert old["electrostatics"] == {**PUBLISHED["electrostatics"], "long_range_cutoff": 7.0}
    summed = LongRange(ewald=True).terms(PUBLISHED, kind)
    assert set(summed) == {"zbl", "ewald", "dispersion"}
    assert LongRange(cutoff=None).terms(PUBLISHED, kind)["dispersion"]["long_range_cutoff"] is None


def test_training_uses_the_form_that_is_close_to_the_whole_sum() -> None:
    found = neutralised(PUBLISHED)
    assert found["electrostatics"] == {**PUBLISHED["electrostatics"], "truncation": "neutral"}
    assert {name: found[name] for name in ("zbl", "dispersion")} == {
        name: PUBLISHED[name] for name in ("zbl", "dispersion")
    }


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="long_range must be auto or published, not 'pme'"):
        LongRange("pme")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite radius above 0 Å"):
        LongRange(cutoff=-1.0)
    for choice in (LongRange(cutoff=9.0), LongRange(cutoff=None), LongRange(ewald=True)):
        with pytest.raises(ValueError, match="nothing to act on"):
            choice.terms({"zbl": {}}, OPEN)
    assert LongRange().terms({"zbl": {}}, CRYSTAL) == {"zbl": {}}


def test_potentials_of_all_kinds_share_their_weights() -> None:
    settings = {"charge_width": 4, "hirshfeld_width": 4, "num_features": 4, "num_heads": 2}
    architecture = build("so3krates", {**settings, "avg_num_neighbors": 9.0, "num_layers": 1})
    potential = Potential(architecture, ["Na", "Cl"], terms=build_terms(PUBLISHED)).eval()
    choice = LongRange()
    crystal = potential.with_terms(choice.terms(potential.terms_settings, CRYSTAL))
    assert crystal.architecture is potential.architecture
    assert crystal.terms["zbl"] is potential.terms["zbl"]
    assert crystal.terms["dispersion"] is potential.terms["dispersion"]
    assert list(crystal.terms) == ["zbl", "ewald", "dispersion"]
    assert not crystal.training
    assert potential.with_terms(potential.terms_settings) is potential
    single = potential.copy(dtype=torch.float32)
    assert single.with_terms(choice.terms(single.terms_settings, OPEN)).dtype == torch.float32


# --- slabs --------------------------------------------------------------------------------------


def water_like_slab(rng: np.random.Generator) -> tuple[Atoms, np.ndarray]:
    """Two layers of molecules of three charges each, neighbours turned against each other."""
    atoms = Atoms(cell=[12.0, 12.0, 20.0], pbc=[True, True, False])
    shape = np.array([[0.0, 0.0, 0.0], [0.76, 0.0, 0.59], [-0.76, 0.0, 0.59]])
    for place in np.ndindex(4, 4, 2):
        sign = (-1) ** sum(place)
        centre = 3.0 * np.array(place) + rng.normal(scale=0.2, size=3)
        atoms += Atoms("OH2", sign * shape + centre)
    return atoms, np.tile([-0.8, 0.4, 0.4], 32)


def salt_slab(rng: np.random.Generator) -> tuple[Atoms, np.ndarray]:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat((1, 1, 2))
    atoms.pbc = [True, True, False]
    return atoms, np.where(atoms.numbers == 11, 0.8, -0.8)


def stack_energy(atoms: Atoms, charges: np.ndarray) -> float:
    """By an Ewald sum of slabs far apart, less what their dipoles do to each other.

    I.-C. Yeh, M. L. Berkowitz, J. Chem. Phys. 111, 3155 (1999).
    """
    stack = atoms.copy()
    cell = stack.cell.array.copy()
    cell[2] = [0.0, 0.0, 120.0]
    stack.set_cell(cell)
    stack.pbc = True
    graph = AtomGraph.from_atoms(stack, 1.0)
    summed = Ewald(EwaldSettings())(graph, {"charges": torch.from_numpy(charges)}).sum().item()
    dipole = float(charges @ atoms.positions[:, 2])
    return summed + 2.0 * math.pi * COULOMB * dipole**2 / stack.cell.volume


def slab_energy(atoms: Atoms, charges: np.ndarray, axis: int = 2, **settings: Any) -> float:
    term = Ewald(EwaldSettings(open_axis=axis, **settings))  # type: ignore[arg-type]
    graph = AtomGraph.from_atoms(atoms, 1.0)
    return float(term(graph, {"charges": torch.from_numpy(charges)}).sum())


@pytest.mark.parametrize("make", [water_like_slab, salt_slab])
def test_slabs_by_ewalds_sum(
    make: Callable[..., tuple[Atoms, np.ndarray]], rng: np.random.Generator
) -> None:
    atoms, charges = make(rng)
    exact = stack_energy(atoms, charges)
    found = slab_energy(atoms, charges)
    assert found == pytest.approx(exact, abs=1e-6)
    # The open lattice vector, the place, and which axis is open do not matter.
    other = atoms.copy()
    other.set_cell([atoms.cell[0], atoms.cell[1], [0.0, 0.0, 0.0]])
    other.positions += [0.3, -7.0, 1000.0]
    assert slab_energy(other, charges) == pytest.approx(exact, abs=1e-6)
    turned = atoms.copy()
    turned.positions = atoms.positions[:, [2, 0, 1]]
    turned.set_cell(atoms.cell.array[:, [2, 0, 1]][[2, 0, 1]])
    assert slab_energy(turned, charges, axis=0) == pytest.approx(exact, abs=1e-6)
    twice = slab_energy(atoms.repeat((2, 1, 1)), np.tile(charges, 2))
    assert twice == pytest.approx(2.0 * exact, abs=1e-6)


def test_a_sheet_of_charges_has_the_field_of_a_capacitor() -> None:
    """Two sheets of opposite charges: the energy rises by 2 pi k q^2 / A with their distance."""

    def at(distance: float) -> float:
        sheets = Atoms("NaCl", [[0, 0, 0], [1.0, 1.0, distance]], cell=[4.0, 4.0, 0.0])
        return slab_energy(sheets, np.array([1.0, -1.0]))

    slope = (at(60.0) - at(40.0)) / 20.0
    assert slope == pytest.approx(2.0 * math.pi * COULOMB / 16.0, rel=1e-8)


def test_charged_slabs() -> None:
    """Their place does not matter, and two opposite ones feel the field of a capacitor."""
    rng = np.random.default_rng(3)
    atoms = Atoms("Na6", rng.uniform(0.0, 6.0, (6, 3)), cell=[7.0, 6.0, 0.0])
    charges = rng.uniform(0.1, 0.5, 6)
    before = slab_energy(atoms, charges)
    atoms.positions += [1.0, 2.0, 30.0]
    assert slab_energy(atoms, charges) == pytest.approx(before, abs=1e-8)

    def at(distance: float) -> float:
        both = atoms + Atoms("Na6", atoms.positions + [0.0, 0.0, distance])
        return slab_energy(both, np.concatenate([charges, -charges]))

    slope = (at(120.0) - at(100.0)) / 20.0
    assert slope == pytest.approx(2.0 * math.pi * COULOMB * charges.sum() ** 2 / 42.0, rel=1e-7)


def test_forces_and_strain_of_slabs(rng: np.random.Generator) -> None:
    """Finite differences, of positions and of the two lattice vectors that are periodic."""
    atoms, charges = salt_slab(rng)
    atoms.rattle(0.1, seed=2)
    term = Ewald(EwaldSettings(open_axis=2))
    graph = AtomGraph.from_atoms(atoms, 1.0)

    def energy(shift: torch.Tensor, strain: torch.Tensor) -> torch.Tensor:
        deformation = torch.eye(3, dtype=torch.float64) + strain
        moved = replace(
            graph,
            positions=(graph.positions + shift) @ deformation,
            cell=graph.cell @ deformation,
        )
        return term(moved, {"charges": torch.from_numpy(charges)}).sum()

    shift = torch.zeros_like(graph.positions).requires_grad_()
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(energy(shift, strain), (shift, strain))
    step = 1e-4
    for which, place in (
        (0, (3, 2)),
        (0, (7, 0)),
        (1, (0, 0)),
        (1, (2, 2)),
        (1, (0, 1)),
        (1, (2, 1)),
    ):
        found = []
        for sign in (1.0, -1.0):
            leaves = [torch.zeros_like(shift), torch.zeros_like(strain)]
            leaves[which][place] = sign * step
            found.append(sign * energy(*leaves).item())
        assert sum(found) / (2.0 * step) == pytest.approx(slopes[which][place].item(), abs=2e-6)


@pytest.mark.parametrize(
    ("make", "error"), [(water_like_slab, 0.006), (salt_slab, 0.04)], ids=["water", "salt"]
)
def test_the_neutral_form_is_close_to_it(
    make: Callable[..., tuple[Atoms, np.ndarray]], error: float, rng: np.random.Generator
) -> None:
    """Per atom, in eV, at 12 Å; the published form misses its own charges and is far off."""
    atoms, charges = make(rng)
    exact = slab_energy(atoms, charges)
    found = {}
    for form in ("neutral", "published"):
        term = Electrostatics(ElectrostaticsSettings(long_range_cutoff=12.0, truncation=form))
        graph = AtomGraph.from_atoms(atoms, 1.0, far_cutoff=12.0)
        found[form] = term(graph, {"charges": torch.from_numpy(charges)}).sum().item()
    assert found["neutral"] == pytest.approx(exact, abs=error * len(atoms))
    assert abs(found["published"] - exact) > 5 * error * len(atoms)
