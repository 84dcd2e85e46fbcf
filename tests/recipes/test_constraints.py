"""Every cell of the table of constraints and recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixCartesian, FixedLine, FixedPlane, FixScaled
from scipy.linalg import eigh

from ase_geomformer.hessian import finite_difference_hessian
from ase_geomformer.recipes import (
    AdsorptionSettings,
    CohesiveSettings,
    ElasticSettings,
    EOSSettings,
    NEBSettings,
    PhononSettings,
    RelaxManySettings,
    RelaxSettings,
    SurfaceSettings,
    VacancySettings,
    VibrationsSettings,
    adsorption,
    cohesive,
    elastic,
    eos,
    irc,
    neb,
    phonons,
    relax,
    relax_many,
    saddle,
    surface,
    vacancy,
    vibrations,
)
from ase_geomformer.recipes.constraints import FreeDirections, exact, joint_constraints, set_aside
from ase_geomformer.recipes.modes.normal_modes import PER_CM
from ase_geomformer.runs.reader import read_atoms
from tests.recipes.constraint_table import (
    CONSTRAINTS,
    IN_FIXED_DIRECTIONS,
    OTHERS,
    constrained,
    markdown,
    outcome,
    slab,
)
from tests.recipes.path.conftest import ENERGIES, SADDLES, SCALE, MuellerBrown, at

FMAX = 0.02


def held(start: Atoms, end: Atoms) -> float:
    """How far atoms are, in Å, from where the constraints of the start allow them to be."""
    allowed = end.positions.copy()
    for constraint in start.constraints:
        constraint.adjust_positions(start.copy(), allowed)
    return float(np.abs(allowed - end.positions).max())


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_relaxations_honour_every_constraint(name: str) -> None:
    start = constrained(name)
    before = start.positions.copy()
    alone = relax(start, EMT(), RelaxSettings(fmax=FMAX, steps=200), progress=False)
    together = relax_many(
        [start], EMT(), RelaxManySettings(fmax=FMAX, steps=200), progress=False
    ).results[0]
    np.testing.assert_array_equal(start.positions, before)
    pulled = cohesive(start, EMT(), CohesiveSettings(fmax=FMAX, steps=200), progress=False)
    assert pulled.converged, pulled.reason
    assert held(start, pulled.cohesions[0].atoms) < 1e-5
    for result in (alone, together):
        assert result.converged, result.reason
        assert result.steps > 1
        assert held(start, result.atoms) < 1e-5
        assert [type(one) for one in result.atoms.constraints] == [
            type(one) for one in start.constraints
        ]
        again = result.atoms.copy()
        again.set_constraint(exact(again.constraints))
        again.calc = EMT()
        assert np.linalg.norm(again.get_forces(), axis=1).max() < FMAX


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_next_verb_reads_every_constraint_back(name: str, tmp_path: Path) -> None:
    start = constrained(name)
    relax(start, EMT(), RelaxSettings(steps=0), output=tmp_path, progress=False)
    (found,) = read_atoms(tmp_path / "final.traj", "-1")
    assert [one.todict()["name"] for one in found.constraints] == [
        one.todict()["name"] for one in start.constraints
    ]


def test_scaled_coordinates_of_an_oblique_cell_relax_to_their_minimum() -> None:
    """Free along one cell vector only: the force along that vector vanishes, by its definition."""
    start = constrained("FixScaled")
    end = relax(start, EMT(), RelaxSettings(fmax=1e-3), progress=False).atoms
    forces = end.get_forces(apply_constraint=False)
    along = start.cell.array[0] / np.linalg.norm(start.cell.array[0])
    assert np.abs(forces[[1, 2]] @ along).max() < 1e-3
    moved = end.positions - start.positions
    np.testing.assert_allclose(np.cross(moved[[1, 2]], along), 0.0, atol=1e-10)


# Directions that each constraint of the table leaves free to the atoms of the slab.
def _free(atoms: Atoms, name: str) -> dict[int, np.ndarray]:
    whole = np.eye(3)
    a = atoms.cell.array[0] / np.linalg.norm(atoms.cell.array[0])
    changed = {
        "FixAtoms": {0: whole[:0]},
        "FixCartesian": {1: whole[[0, 2]]},
        "FixScaled": {1: a[None], 2: a[None]},
        "FixedPlane": {2: np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])},
        "FixedLine": {2: np.array([[1.0, 0.0, 1.0]])},
    }
    return dict.fromkeys(range(len(atoms)), whole) | changed[name]


@pytest.mark.parametrize("name", IN_FIXED_DIRECTIONS)
def test_vibrations_along_the_free_directions(name: str) -> None:
    """Of the whole Hessian, the eigenvalues in the space that the constraint leaves."""
    atoms = constrained(name)
    settings = VibrationsSettings(fmax=10.0, expected_imaginary=0, thermochemistry="none")
    found = vibrations(atoms, EMT(), settings, progress=False)
    columns = []
    for index, directions in _free(atoms, name).items():
        for direction in directions:
            column = np.zeros((len(atoms), 3))
            column[index] = direction
            columns.append(column.ravel())
    basis = np.array(columns).T
    matrix = finite_difference_hessian(EMT(), atoms)
    masses = np.diag(np.repeat(atoms.get_masses(), 3))
    values = eigh(
        basis.T @ (0.5 * (matrix + matrix.T)) @ basis, basis.T @ masses @ basis, eigvals_only=True
    )
    expected = PER_CM * np.sign(values) * np.sqrt(np.abs(values))
    np.testing.assert_allclose(found.frequencies_per_cm, expected, rtol=1e-6, atol=1e-3)
    for mode in found.modes.vectors:
        ended = atoms.copy()
        ended.positions += mode
        assert held(atoms, ended) < 1e-9


@pytest.mark.parametrize("name", [name for name in CONSTRAINTS if name not in IN_FIXED_DIRECTIONS])
def test_other_constraints_are_refused_by_name(name: str) -> None:
    atoms = constrained(name)
    kind = type(atoms.constraints[0]).__name__
    assert {outcome(recipe, name) for recipe in OTHERS} == {"refused"}
    with pytest.raises(ValueError, match=f"constraint {kind} cannot be honoured where atoms vib"):
        vibrations(atoms, EMT(), progress=False)
    other = atoms.copy()
    other.positions[2, 0] += 0.5
    with pytest.raises(ValueError, match=f"constraint {kind} cannot be honoured where atoms move"):
        neb([atoms, other], EMT(), NEBSettings(exchanged_atoms=True), progress=False)
    atoms.pbc[:2] = True
    with pytest.raises(ValueError, match=f"{kind} cannot be honoured where atoms move under"):
        adsorption(atoms, EMT(), adsorbate="O", progress=False)
    atoms.pbc = constrained(name).pbc
    for recipe in (saddle, irc):
        with pytest.raises(ValueError, match=f"{kind} cannot be honoured where atoms move"):
            recipe(atoms, EMT(), progress=False)


@pytest.mark.parametrize("name", IN_FIXED_DIRECTIONS)
def test_a_slab_under_adsorbates_keeps_its_constraints(name: str) -> None:
    start = constrained(name)
    settings = AdsorptionSettings(min_length_A=4.0, fmax=FMAX)
    result = adsorption(start, EMT(), settings, adsorbate="O", progress=False)
    assert result.converged, result.reason
    whole = start * (2, 2, 1)
    for one in (result.slab, *(one.atoms[: len(whole)] for one in result.adsorbed)):
        assert held(whole, one) < 1e-5
        assert np.abs(one.positions - whole.positions).max() > 1e-3


IN_PLANE = {
    "FixCartesian": FixCartesian([1], mask=(False, False, True)),
    "FixScaled": FixScaled([1], mask=(False, False, True)),
    "FixedPlane": FixedPlane([1], (0.0, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", IN_PLANE)
@pytest.mark.parametrize("where", [(0,), (1,), (0, 1)])
def test_a_path_in_a_plane(name: str, where: tuple[int, ...], mueller_brown: MuellerBrown) -> None:
    """The barrier of the free path, which lies in that plane, whichever end has the constraint."""
    ends = [at("A"), at("C")]
    for end in where:
        ends[end].set_constraint([*ends[end].constraints, IN_PLANE[name]])
    result = neb(ends, mueller_brown, NEBSettings(images=7, step_A=1e-4, fmax=0.02), progress=False)
    assert result.converged, result.reason
    barrier = SCALE * (SADDLES["AC"][1] - ENERGIES["A"])
    assert result.barrier_forward_eV == pytest.approx(barrier, abs=1e-5)
    assert all(len(image.constraints) == 2 for image in result.images)


def test_a_path_on_a_line(mueller_brown: MuellerBrown) -> None:
    """All images stay on the line, and the barrier is that of the energy along it."""
    ends = [at("A"), at("C")]
    way = ends[1].positions[1] - ends[0].positions[1]
    ends[0].set_constraint([*ends[0].constraints, FixedLine([1], way)])
    settings = NEBSettings(images=7, step_A=1e-4, fmax=1e-3, vibrational_check=True)
    result = neb(ends, mueller_brown, settings, progress=False)
    assert result.converged, result.reason
    line = [ends[0].copy() for _ in range(2001)]
    energies = []
    for share, atoms in zip(np.linspace(-0.2, 1.2, 2001), line, strict=True):
        atoms.positions[1] += share * way
        atoms.calc = mueller_brown
        energies.append(atoms.get_potential_energy())
    top = max(energies[300:1700])
    first = min(energies[:1000])
    assert result.barrier_forward_eV == pytest.approx(top - first, abs=1e-4)
    for image in result.images:
        moved = image.positions[1] - ends[0].positions[1]
        assert np.linalg.norm(np.cross(moved, way)) < 1e-9


def test_atoms_counted_from_the_end() -> None:
    atoms = slab()
    atoms.set_constraint([FixAtoms([-1]), FixedPlane([-2], (0.0, 0.0, 1.0))])
    free = FreeDirections.of(atoms, "vibrate")
    assert free.free_atoms.tolist() == [0, 1]
    assert len(free.atoms) == 5


def test_constraints_of_both_ends_hold_together() -> None:
    first, last = slab(), slab()
    first.set_constraint([FixAtoms([0]), FixCartesian([1], mask=(False, True, False))])
    last.set_constraint([FixedPlane([1, 2], (0.0, 0.0, 1.0))])
    joint = joint_constraints([first, last], ["the first", "the last"])
    assert {type(one).__name__: one.index.tolist() for one in joint} == {
        "FixAtoms": [0], "FixedLine": [1], "FixedPlane": [2],
    }  # fmt: skip
    np.testing.assert_allclose(joint[1].dir, [1.0, 0.0, 0.0], atol=1e-12)


def test_a_conflict_names_atom_direction_and_structure() -> None:
    first, last = slab(), slab()
    last.positions[1] += [0.3, 0.2, 0.0]
    last.set_constraint(FixCartesian([1], mask=(False, True, False)))
    message = r"atom 1 \(Cu\) may not move along \(0, 1, 0\) by a constraint of the last, and "
    with pytest.raises(ValueError, match=message + r"the last has it 0.2 Å away"):
        joint_constraints([first, last], ["the first", "the last"])


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_crystals_set_constraints_aside_and_say_so(name: str) -> None:
    atoms = constrained(name)
    free, note = set_aside(atoms)
    assert not free.constraints
    assert atoms.constraints
    assert note.endswith(f": {type(atoms.constraints[0]).__name__}")
    assert outcome("qha", name) == "set aside"


def test_properties_of_a_crystal_do_not_depend_on_its_constraints() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.positions[1, 0] += 0.1
    free = atoms.copy()
    atoms.set_constraint(FixCartesian([0, 1, 2], mask=(True, False, True)))
    curves, tensors = (
        [
            recipe(one, EMT(), settings, progress=False)
            for one in (free, atoms)
        ]
        for recipe, settings in ((eos, EOSSettings(points=5)), (elastic, ElasticSettings(points=3)))
    )  # fmt: skip
    assert curves[1].fit.bulk_modulus_GPa == pytest.approx(curves[0].fit.bulk_modulus_GPa)
    np.testing.assert_allclose(tensors[1].constants_GPa, tensors[0].constants_GPa, atol=1e-6)
    parted = surface(atoms, EMT(), SurfaceSettings(thicknesses=2), progress=False)
    emptied = vacancy(atoms, EMT(), VacancySettings(sizes=1, min_length_A=5.0), progress=False)
    for result in (curves[1], tensors[1], parted, emptied):
        assert result.reason.endswith("must be free: FixCartesian")
    assert "constraints" not in curves[0].reason


def test_phonons_of_a_constrained_crystal_are_those_of_its_minimum(
    lennard_jones: LennardJones,
) -> None:
    atoms = bulk("Ar", "fcc", a=5.24, cubic=True)
    free = atoms.copy()
    atoms.positions[0, 0] += 0.2
    atoms.set_constraint(FixAtoms([0, 1]))
    settings = PhononSettings(supercell=[1, 1, 1], mesh=[2, 2, 2], band_points=5, symprec_A=1e-3)
    found, expected = (
        phonons(one, lennard_jones, settings, progress=False) for one in (atoms, free)
    )
    assert found.reason.endswith("must be free: FixAtoms")
    found.atoms.calc = lennard_jones
    assert np.abs(found.atoms.get_forces()).max() < 2e-5
    highest = [result.modes.frequencies_THz.max() for result in (found, expected)]
    assert highest[0] == pytest.approx(highest[1], abs=0.005)
    assert found.thermal.zero_point_energy_eV == pytest.approx(
        expected.thermal.zero_point_energy_eV, rel=1e-3
    )


@pytest.fixture
def lennard_jones() -> LennardJones:
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)


@pytest.fixture
def mueller_brown() -> MuellerBrown:
    return MuellerBrown()


def test_the_table_in_the_docs_is_what_is_tested(root: Path) -> None:
    assert markdown() in (root / "docs" / "recipes.md").read_text(encoding="utf-8")
