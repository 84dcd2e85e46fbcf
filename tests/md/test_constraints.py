"""Every constraint in every ensemble: held, with the right temperature, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.tip3p import TIP3P, angleHOH, rOH
from ase.constraints import (
    ExternalForce,
    FixAtoms,
    FixBondLengths,
    FixCartesian,
    FixCartesianParametricRelations,
    FixCom,
    FixConstraint,
    FixedLine,
    FixedMode,
    FixedPlane,
    FixInternals,
    FixLinearTriatomic,
    FixScaled,
    FixScaledParametricRelations,
    FixSubsetCom,
    FixSymmetry,
    Hookean,
    MirrorForce,
)
from ase.io import read
from matplotlib.figure import Figure

from ase_geomformer.md import ENSEMBLES, GuardSettings, MDSettings, Observer, run_md
from ase_geomformer.md.constraints import CONSTRAINTS, manifold_of, markdown
from ase_geomformer.md.settings import EnsembleName
from ase_geomformer.md.velocities import degrees_of_freedom, draw_velocities, temperature

ROOT = Path(__file__).parents[2]
SKEWED = np.array([[10.0, 0.0, 0.0], [3.0, 10.0, 0.0], [1.0, 2.0, 10.0]])
NORMAL = np.array([1.0, 2.0, 2.0]) / 3.0
MODE = np.arange(12.0) - 4.0


def cluster(symbols: str = "CNOF") -> Atoms:
    """Four atoms that drift together but cannot turn; one outside of the cell."""
    positions = 3.0 * np.eye(4, 3) + 0.2 * np.sin(np.arange(12.0)).reshape(4, 3)
    positions[1] += SKEWED[1]
    return Atoms(symbols, positions, cell=SKEWED, pbc=True)


def centre(atoms: Atoms, indices: Any = slice(None)) -> np.ndarray:
    masses = atoms.get_masses()[indices]
    return masses @ atoms.positions[indices] / masses.sum()


def lengths(*pairs: tuple[int, int]) -> Callable[[Atoms], Any]:
    return lambda atoms: [atoms.get_distance(*pair, mic=True) for pair in pairs]


def internals(atoms: Atoms) -> list[float]:
    distance = atoms.get_distance
    return [
        distance(0, 1, mic=True),
        np.radians(atoms.get_angle(1, 2, 3, mic=True)),
        np.radians(atoms.get_dihedral(0, 1, 2, 3, mic=True)),
        distance(0, 2, mic=True) - 0.5 * distance(1, 3, mic=True),
    ]


def straight(atoms: Atoms) -> list[float]:
    one, other = (atoms.get_distance(1, end, mic=True, vector=True) for end in (0, 2))
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return [*lengths((0, 1), (1, 2))(atoms), cosine]


def linear() -> Atoms:
    atoms = cluster()
    atoms.positions[1] = 0.4 * atoms.positions[0] + 0.6 * atoms.positions[2] + SKEWED[0]
    return atoms


def symmetric() -> Atoms:
    """Two pairs of atoms with nothing but a centre of inversion between them."""
    places = np.array([[0.13, 0.21, 0.34], [0.41, 0.17, 0.08]])
    return Atoms("C2O2", scaled_positions=[places[0], -places[0], places[1], -places[1]],
                 cell=SKEWED, pbc=True)  # fmt: skip


def inversion(atoms: Atoms) -> np.ndarray:
    """Centres of the two pairs, which the symmetry keeps where they are."""
    pairs = atoms.positions.reshape(2, 2, 3)
    return (pairs[:, 0] + pairs[:, 1]).ravel()


def related(scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Atoms 0 and 2 with the parameters x, y, z: (x, y, z) and (2 x, -y, s)."""
    jacobian = np.zeros((6, 3))
    jacobian[[0, 1, 2], [0, 1, 2]] = 1.0
    jacobian[[3, 4], [0, 1]] = [2.0, -1.0]
    places = cluster().get_scaled_positions(wrap=False) if scaled else cluster().positions
    shift = places[[0, 2]].ravel() - jacobian @ places[0]
    return jacobian, shift


def relations(scaled: bool) -> Callable[[Atoms], np.ndarray]:
    def found(atoms: Atoms) -> np.ndarray:
        places = atoms.get_scaled_positions(wrap=False) if scaled else atoms.positions
        (x, y, _), second = places[0], places[2]
        return np.array([second[0] - 2.0 * x, second[1] + y, second[2]])

    return found


@dataclass(frozen=True)
class Case:
    """A constraint, and what is known of it.

    Attributes
    ----------
    make : callable
        From atoms to the constraint.
    removed : int
        Degrees of freedom.
    drifts : int
        Directions in which the atoms may still move together.
    constant : callable
        From atoms to numbers that must not change.
    start : callable
        Makes the atoms.
    """

    make: Callable[[Atoms], Any]
    removed: int
    drifts: int
    constant: Callable[[Atoms], Any]
    start: Callable[[], Atoms] = cluster

    def atoms(self) -> Atoms:
        atoms = self.start()
        atoms.set_constraint(self.make(atoms))
        return atoms


CASES = {
    "FixAtoms": Case(lambda _: FixAtoms([1]), 3, 0, lambda atoms: atoms.positions[1]),
    "FixCartesian": Case(
        lambda _: FixCartesian([1, 2], (True, False, True)), 4, 1,
        lambda atoms: atoms.positions[[1, 2]][:, [0, 2]],
    ),
    "FixScaled": Case(
        lambda _: FixScaled([1, 2], (True, False, False)), 2, 2,
        lambda atoms: 10.0 * atoms.get_scaled_positions(wrap=False)[[1, 2], 0],
    ),
    "FixedPlane": Case(
        lambda _: FixedPlane([1, 3], NORMAL), 2, 2, lambda atoms: atoms.positions[[1, 3]] @ NORMAL
    ),
    "FixedLine": Case(
        lambda _: FixedLine([1], NORMAL), 2, 1, lambda atoms: np.cross(atoms.positions[1], NORMAL)
    ),
    "FixedMode": Case(
        lambda _: FixedMode(MODE), 1, 2,
        lambda atoms: MODE @ atoms.positions.ravel() / np.linalg.norm(MODE),
    ),
    "FixCom": Case(lambda _: FixCom(), 3, 0, centre),
    "FixSubsetCom": Case(
        lambda _: FixSubsetCom([1, 3]), 3, 0, lambda atoms: centre(atoms, [1, 3])
    ),
    "FixBondLengths": Case(
        lambda _: FixBondLengths([(0, 1), (1, 2), (2, 0)]), 3, 3, lengths((0, 1), (1, 2), (0, 2))
    ),
    "FixLinearTriatomic": Case(
        lambda _: FixLinearTriatomic([(0, 1, 2)]), 4, 3, straight, linear
    ),
    "FixInternals": Case(
        lambda _: FixInternals(
            bonds=[[None, [0, 1]]], angles_deg=[[None, [1, 2, 3]]], mic=True,
            dihedrals_deg=[[None, [0, 1, 2, 3]]],
            bondcombos=[[None, [[0, 2, 1.0], [1, 3, -0.5]]]],
        ),
        4, 3, internals,
    ),
    "FixSymmetry": Case(FixSymmetry, 6, 0, inversion, symmetric),
    "FixCartesianParametricRelations": Case(
        lambda _: FixCartesianParametricRelations([0, 2], *related(False)), 3, 0, relations(False)
    ),
    "FixScaledParametricRelations": Case(
        lambda _: FixScaledParametricRelations([0, 2], *related(True)), 3, 0,
        lambda atoms: 10.0 * relations(True)(atoms),
    ),
    "Hookean": Case(lambda _: Hookean(0, 1, k=3.0, rt=4.0), 0, 3, lambda _: 0.0),
    "ExternalForce": Case(lambda _: ExternalForce(2, 3, 0.5), 0, 3, lambda _: 0.0),
    # The same with other arguments, and several that share atoms.
    "Hookean to a point": Case(lambda _: Hookean(0, (0.0, 0.0, 1.0), 3.0, 2.8), 0, 0, lambda _: 0),
    "Hookean to a plane": Case(lambda _: Hookean(0, (0.0, 0.0, 1.0, 0.0), 3.0), 0, 0, lambda _: 0),
    "FixAtoms and FixBondLengths": Case(
        lambda _: [FixBondLengths([(0, 1), (0, 2)]), FixAtoms([0])], 5, 0, lengths((0, 1), (0, 2))
    ),
    "FixCom and FixBondLengths": Case(
        lambda _: [FixCom(), FixBondLengths([(0, 1), (0, 2)])], 5, 0, lengths((0, 1), (0, 2))
    ),
    "FixInternals and FixedPlane": Case(
        lambda _: [FixInternals(bonds=[[None, [0, 1]]], mic=True), FixedPlane([1], NORMAL),
                   Hookean(0, 2, 2.0, 3.9)],
        2, 2, lambda atoms: [atoms.get_distance(0, 1, mic=True), atoms.positions[1] @ NORMAL],
    ),
}  # fmt: skip
HELD = [
    (name, ensemble)
    for name in CASES
    for ensemble in get_args(EnsembleName)
    if ensemble in CONSTRAINTS.get(name, CONSTRAINTS["FixAtoms"]).ensembles
]
REFUSED = [
    (name, ensemble)
    for name, kind in CONSTRAINTS.items()
    for ensemble in get_args(EnsembleName)
    if ensemble not in kind.ensembles
]
SETTINGS = MDSettings(
    timestep_fs=1.5, steps=30, log_interval=3, trajectory_interval=10, checkpoint_interval=10,
    thermostat_time_fs=30.0, friction_per_fs=0.02,
)  # fmt: skip


class Ties(Calculator):
    """Every atom's displacement tied to the mean displacement by springs; see ``Springs``.

    Without memory, which the springs of the other tests have.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, atoms: Atoms) -> None:
        super().__init__()
        self.sites = atoms.get_positions()

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        d = self.atoms.positions - self.sites
        d -= d.mean(axis=0)
        slope = 5.0 * d + 50.0 * d**3
        energy = float(np.sum(2.5 * d**2 + 12.5 * d**4))
        self.results = {"energy": energy, "forces": slope.mean(axis=0) - slope}


class Free(Calculator):
    """No forces at all."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ase_geomformer.md.figure.plot", lambda *_: Figure(figsize=(1, 1)))


def test_the_table_is_complete() -> None:
    assert set(CONSTRAINTS) <= set(CASES)
    fixed_cell = {name for name, ensemble in ENSEMBLES.items() if not ensemble.has_barostat}
    assert {name for _, name in HELD} == fixed_cell
    assert markdown() in (ROOT / "docs" / "md.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "ensemble"), HELD)
def test_held_and_resumed_to_the_bit(name: str, ensemble: str, tmp_path: Path) -> None:
    case = CASES[name]
    atoms = case.atoms()
    settings = replace(SETTINGS, ensemble=ensemble)
    frames: list[Atoms] = []
    observers = [Observer(lambda present, _: frames.append(present.copy()), 6)]
    whole = run_md(atoms, Ties(atoms), settings, observers=observers, progress=False)
    assert whole.completed
    conserves = ENSEMBLES[ensemble].conserves_momentum
    number = 3 * len(atoms) - case.removed - (case.drifts if conserves else 0)
    assert whole.degrees_of_freedom == number
    assert np.abs(whole.atoms.positions - atoms.positions).max() > 0.02
    for frame in frames:
        np.testing.assert_allclose(case.constant(frame), case.constant(atoms), rtol=0, atol=1e-9)
    assert whole.log["conserved_energy_eV"].std() < 1e-3
    assert whole.log["kinetic_energy_eV"].std() > 0.003

    first = replace(settings, steps=13)
    run_md(atoms, Ties(atoms), first, output=tmp_path, progress=False)
    halves = run_md(None, Ties(atoms), settings, output=tmp_path, resume=True, progress=False)
    np.testing.assert_array_equal(halves.atoms.positions, whole.atoms.positions)
    np.testing.assert_array_equal(halves.atoms.get_momenta(), whole.atoms.get_momenta())
    for column in whole.log.keys() - {"steps_per_second"}:
        np.testing.assert_array_equal(halves.log[column], whole.log[column])
    for kept in (read(tmp_path / "trajectory.traj"), halves.atoms):
        assert [type(c) for c in kept.constraints] == [type(c) for c in atoms.constraints]


@pytest.mark.parametrize(("name", "ensemble"), REFUSED)
def test_refused_before_any_work(name: str, ensemble: str, tmp_path: Path) -> None:
    atoms = CASES[name].atoms()
    settings = replace(SETTINGS, ensemble=ensemble)
    able = ", ".join(CONSTRAINTS[name].ensembles)
    with pytest.raises(ValueError, match=f"{name}; take one of {able}, or remove"):
        run_md(atoms, Free(), settings, output=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("constraint", [MirrorForce(0, 1), FixConstraint()])
def test_unknown_constraints_are_refused(constraint: Any) -> None:
    atoms = cluster()
    atoms.set_constraint(constraint)
    with pytest.raises(ValueError, match=f"does not know .* class {type(constraint).__name__}"):
        run_md(atoms, Free(), progress=False)


@pytest.mark.parametrize("name", CASES)
def test_initial_velocities_are_canonical(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    atoms = case.atoms()
    held = manifold_of(atoms)
    number = 3 * len(atoms) - case.removed - case.drifts
    draws = []
    for _ in range(1000):
        draw_velocities(atoms, 300.0, rng, held)
        draws.append(temperature(atoms, number))
    assert degrees_of_freedom(atoms, conserves_momentum=True, manifold=held) == number
    spread = 300.0 * np.sqrt(2.0 / number)
    assert np.mean(draws) == pytest.approx(300.0, abs=5.0 * spread / np.sqrt(1000))
    assert np.std(draws) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if name.startswith("nvt")])
def test_temperature(ensemble: str) -> None:
    # Many molecules, each with two of its three distances and two of its atoms held in some way.
    count = 30
    atoms = Atoms()
    for index in range(count):
        atoms += Atoms("COH", positions=np.array([[0, 0, 1.2], [0, 0, 0], [0, 0.9, 0.2]]) + index)
    first = 3 * np.arange(count)
    atoms.set_constraint(
        [
            FixBondLengths([(i, i + 1) for i in first]),
            FixInternals(angles_deg=[[None, [int(i), int(i + 1), int(i + 2)]] for i in first]),
            FixedPlane(first, NORMAL),
        ]
    )
    settings = MDSettings(
        ensemble=ensemble, timestep_fs=2.0, steps=300, equilibration_steps=100, log_interval=4,
        friction_per_fs=0.05, thermostat_time_fs=20.0, temperature_K=300.0,
    )  # fmt: skip
    atoms.set_momenta(
        0.05 * np.random.default_rng(1).normal(size=(3 * count, 3)), apply_constraint=False
    )
    with pytest.warns(UserWarning, match="of the kinetic energy"):
        result = run_md(atoms, Ties(atoms), settings, progress=False)
    assert result.degrees_of_freedom == count * (9 - 3)
    found = result.averages["temperature_K"]
    canonical = 300.0 * np.sqrt(2.0 / result.degrees_of_freedom)
    assert found.mean == pytest.approx(300.0, rel=0.06)
    assert 0.4 * canonical < found.std < 1.8 * canonical


def test_the_distribution_of_a_rigid_angle_is_that_of_theory() -> None:
    # Two fixed distances from a light atom, and no forces: the angle at it has the density
    # sin(a) sqrt(det Z), det Z = (1 + m/M)^2 - cos(a)^2, and not sin(a) alone (Fixman, PNAS 71,
    # 3050 (1974)), for which <cos(a)^2> would be 1/3.
    cosines = np.linspace(-1.0, 1.0, 20001)
    density = np.sqrt((1.0 + 1.0 / 40.0) ** 2 - cosines**2)
    expected = np.average(cosines**2, weights=density)
    count = 120
    corner = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    atoms = Atoms("HHH" * count, np.concatenate([corner + [4.0 * i, 0, 0] for i in range(count)]))
    atoms.set_masses(np.tile([40.0, 1.0, 40.0], count))
    middles = 3 * np.arange(count) + 1
    pairs = [(middle, middle + side) for middle in middles for side in (-1, 1)]
    atoms.set_constraint(FixBondLengths(pairs))
    found: list[float] = []

    def look(present: Atoms, step: int) -> None:
        if step >= 100:
            arms = present.positions.reshape(-1, 3, 3)
            one, other = arms[:, 0] - arms[:, 1], arms[:, 2] - arms[:, 1]
            found.append(float(np.mean(np.sum(one * other, axis=1) ** 2)))

    settings = MDSettings(
        timestep_fs=2.0,
        steps=1500,
        friction_per_fs=0.02,
        log_interval=100,
        guards=GuardSettings(min_distance_A=None, max_gap_A=None),
    )
    result = run_md(atoms, Free(), settings, observers=[Observer(look, 10)], progress=False)
    assert result.completed, result.reason
    assert expected < 0.27
    assert np.mean(found) == pytest.approx(expected, abs=0.03)


def rigid_waters(count: int = 3) -> Atoms:
    half = np.radians(angleHOH / 2)
    arms = rOH * np.array(
        [[0, 0, 0], [0, np.cos(half), np.sin(half)], [0, np.cos(half), -np.sin(half)]]
    )
    positions = np.concatenate([arms + [3.0 * i, 0.5 * i, 0] for i in range(count)])
    atoms = Atoms("OH2" * count, positions)
    sides = [(0, 1), (0, 2), (1, 2)]
    pairs = [(3 * i + a, 3 * i + b) for i in range(count) for a, b in sides]
    atoms.set_constraint(FixBondLengths(pairs))
    return atoms


def test_rigid_water_in_the_default_thermostat() -> None:
    atoms = rigid_waters()
    settings = MDSettings(timestep_fs=1.0, steps=500)
    result = run_md(atoms, TIP3P(rc=9.0), settings, progress=False)
    assert result.completed
    assert result.degrees_of_freedom == 3 * 6
    for pair in atoms.constraints[0].pairs:
        assert result.atoms.get_distance(*pair) == pytest.approx(
            atoms.get_distance(*pair), abs=1e-6
        )
    # Three molecules in half a ps: the temperature cannot be told better, but bonds that took up
    # energy or the wrong number of motions would show.
    assert 180.0 < result.averages["temperature_K"].mean < 450.0


def test_a_slab_with_a_fixed_layer_and_a_line() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    slab.set_constraint(
        [FixAtoms(mask=slab.get_tags() == 3), FixCartesian([8, 9], (False, True, True))]
    )
    result = run_md(slab, Ties(slab), replace(SETTINGS, ensemble="nvt-bussi"), progress=False)
    assert result.degrees_of_freedom == 3 * 12 - 3 * 4 - 2 * 2
    moved = result.atoms.positions - slab.positions
    assert not moved[slab.get_tags() == 3].any()
    assert not moved[[8, 9], 1:].any()


def test_a_structure_off_its_constraints_is_moved_there() -> None:
    atoms = cluster()
    length = atoms.get_distance(0, 1, mic=True)
    atoms.set_constraint(FixInternals(bonds=[[length + 0.01, [0, 1]]], mic=True))
    with pytest.warns(UserWarning, match=r"C atom 0 is 0\.005\d+ Å from where"):
        result = run_md(atoms, Ties(atoms), replace(SETTINGS, steps=20), progress=False)
    assert result.atoms.get_distance(0, 1, mic=True) == pytest.approx(length + 0.01, abs=1e-9)
    atoms.set_constraint(FixInternals(bonds=[[length + 2.0, [0, 1]]], mic=True))
    with pytest.raises(ValueError, match="not satisfied by the structure"):
        run_md(atoms, Ties(atoms), progress=False)


def test_velocities_against_the_constraints_are_removed() -> None:
    atoms = cluster()
    atoms.set_momenta(np.ones((4, 3)))
    atoms.set_constraint(FixAtoms([0]))
    with pytest.warns(UserWarning, match="of the kinetic energy of the structure was in motions"):
        result = run_md(atoms, Ties(atoms), replace(SETTINGS, ensemble="nve"), progress=False)
    assert result.log["kinetic_energy_eV"][0] == pytest.approx(
        sum(1.5 / mass for mass in atoms.get_masses()[1:])
    )


def test_contradictions_are_named() -> None:
    atoms = cluster()
    length = atoms.get_distance(0, 1, mic=True)
    atoms.set_constraint([FixAtoms([0, 1]), FixInternals(bonds=[[length + 0.1, [0, 1]]], mic=True)])
    with pytest.raises(ValueError, match=r"contradict each other .* 0\.1 Å"):
        run_md(atoms, Ties(atoms), progress=False)


def test_a_straight_molecule_held_by_distances_is_refused() -> None:
    atoms = Atoms("OCO", [(0, 0, -1.16), (0, 0, 0), (0, 0, 1.16)])
    atoms.set_constraint(FixBondLengths([(0, 1), (1, 2), (0, 2)]))
    with pytest.raises(ValueError, match="FixLinearTriatomic"):
        run_md(atoms, Free(), progress=False)
    atoms.set_constraint(FixInternals(angles_deg=[[None, [0, 1, 2]]]))
    with pytest.raises(ValueError, match=r"180\.0 degrees.*FixLinearTriatomic"):
        run_md(atoms, Free(), progress=False)


def test_atoms_in_one_place_have_no_direction() -> None:
    atoms = cluster()
    atoms.positions[1] = atoms.positions[0]
    for constraint in (
        FixBondLengths([(0, 1)]),
        FixInternals(angles_deg=[[90.0, [0, 1, 2]]]),
    ):
        atoms.set_constraint(constraint)
        with pytest.raises(ValueError, match="^CFNO: .*(in one place|Undefined)"):
            run_md(atoms, Free(), progress=False)


def test_distances_that_repeat_others_count_once() -> None:
    atoms = Atoms("CNOFH", np.sin(np.arange(15.0) ** 2).reshape(5, 3) * 2.0)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    atoms.set_constraint(FixBondLengths(pairs))
    result = run_md(atoms, Free(), replace(SETTINGS, steps=50), progress=False)
    assert result.degrees_of_freedom == 6
    for pair in pairs:
        assert result.atoms.get_distance(*pair) == pytest.approx(
            atoms.get_distance(*pair), abs=1e-9
        )


def test_a_rigid_molecule_at_rest_cannot_move() -> None:
    with pytest.raises(ValueError, match="H2O cannot move"):
        run_md(rigid_waters(1), Free(), replace(SETTINGS, ensemble="nve"), progress=False)


def test_a_step_too_long_for_its_constraints_stops_the_run(tmp_path: Path) -> None:
    atoms = rigid_waters(1)
    settings = replace(SETTINGS, timestep_fs=50.0, temperature_K=3000.0)
    result = run_md(atoms, Free(), settings, output=tmp_path, progress=False)
    assert not result.completed
    assert "stopped in step 1: the constraints cannot be held" in result.reason
    assert (tmp_path / "offending.extxyz").exists()
