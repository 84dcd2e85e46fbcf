"""What scripts of ASE's users bring along, with our calculator and in our runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.tip4p import TIP4P
from ase.io import read
from ase.optimize import BFGS
from ase.optimize.basin import BasinHopping
from ase.optimize.minimahopping import MinimaHopping
from ase.phonons import Phonons
from ase.vibrations import Vibrations

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import (
    NEBSettings,
    PhononSettings,
    RelaxManySettings,
    RelaxSettings,
    VibrationsSettings,
    neb,
    phonons,
    relax,
    relax_many,
    vibrations,
)
from ase_geomformer.runs.reader import read_atoms

MOLECULE, CRYSTAL = "so3krates-rmd17-ethanol", "so3krates-mlearn-si"


def exact(name: str) -> PotentialCalculator:
    return PotentialCalculator(name, device="cpu", dtype="float64")


@pytest.fixture
def slab(silicon: Atoms) -> Atoms:
    """Periodic along two axes, and a sheared cell with vacuum along the third."""
    silicon.set_cell([[5.43, 0, 0], [0.6, 5.43, 0], [0, 0, 5.43]], scale_atoms=True)
    silicon.center(vacuum=4.0, axis=2)
    silicon.pbc = [True, True, False]
    return silicon


@pytest.mark.parametrize("component", range(6))
def test_stress_of_a_slab_against_differences(
    component: int, slab: Atoms, potential: Potential
) -> None:
    """Its energy by strain, over the volume of the cell with its vacuum."""
    calculator = PotentialCalculator(potential, device="cpu")
    stress = calculator.get_property("stress", slab)
    step = 1e-4
    one, other = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)][component]
    energies = []
    for sign in (1.0, -1.0):
        strain = np.eye(3)
        strain[one, other] += 0.5 * sign * step
        strain[other, one] += 0.5 * sign * step
        strained = slab.copy()
        strained.set_cell(slab.cell.array @ strain, scale_atoms=True)
        energies.append(calculator.get_property("energy", strained))
    expected = (energies[0] - energies[1]) / (2.0 * step) / slab.get_volume()
    assert abs(expected) > 1e-6
    assert stress[component] == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_a_slab_without_a_third_vector_has_forces_but_no_stress(
    slab: Atoms, potential: Potential
) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    expected = calculator.get_property("forces", slab)
    slab.cell[2] = 0.0
    np.testing.assert_allclose(calculator.get_property("forces", slab), expected, atol=1e-9)
    with pytest.raises(PropertyNotImplementedError, match="volume"):
        calculator.get_property("stress", slab)


def test_a_slab_relaxes_in_its_plane_only(slab: Atoms) -> None:
    """Its vacuum has no stress to relax: refused, unless the mask leaves it alone."""
    with pytest.raises(ValueError, match="cell_mask"):
        relax(slab, CRYSTAL, RelaxSettings(cell="full"), progress=False)
    settings = RelaxSettings(cell="full", cell_mask="xx yy xy", steps=2)
    relaxed = relax(slab, CRYSTAL, settings, progress=False).atoms
    assert np.abs(relaxed.cell.array[:2, :2] - slab.cell.array[:2, :2]).max() > 1e-4
    np.testing.assert_array_equal(relaxed.cell.array[2], slab.cell.array[2])
    with pytest.raises(ValueError, match="nvt"):
        run_md(slab, exact(CRYSTAL), MDSettings(ensemble="npt-mtk"), progress=False)


def test_phonons_of_ase(tmp_path: Path) -> None:
    """The optical modes at the zone centre are those of the two sublattices against each other."""
    crystal, calculator = bulk("Si", a=5.43), exact(CRYSTAL)
    modes = Phonons(crystal, calculator, supercell=(2, 2, 2), delta=0.01, name=tmp_path / "phonons")
    modes.run()
    modes.read(acoustic=True)
    energies = modes.band_structure([[0.0, 0.0, 0.0]], verbose=False)[0]
    np.testing.assert_allclose(energies[:3], 0.0, atol=1e-4)

    def energy(shift: float) -> float:
        moved = crystal.repeat(2)
        moved.positions[1::2, 0] += shift
        return float(calculator.get_property("energy", moved)) / 8.0

    step = 0.01
    curvature = (energy(step) - 2.0 * energy(0.0) + energy(-step)) / step**2
    frozen = units._hbar * np.sqrt(curvature / (0.5 * crystal.get_masses()[0]))
    frozen *= np.sqrt(units._e / units._amu) * 1e10 / units._e
    np.testing.assert_allclose(energies[3:], frozen, rtol=2e-3)


def test_vibrations_of_ase(tmp_path: Path) -> None:
    """Those of the recipe, which has them from exact second derivatives."""
    atoms = relax(molecule("CH3CH2OH"), MOLECULE, RelaxSettings(fmax=1e-3), progress=False).atoms
    settings = VibrationsSettings(hessian="exact", thermochemistry="none")
    expected = vibrations(atoms, exact(MOLECULE), settings, progress=False)
    atoms.calc = exact(MOLECULE)
    modes = Vibrations(atoms, name=str(tmp_path / "modes"), delta=0.005)
    modes.run()
    found = np.real(modes.get_frequencies())[6:]
    np.testing.assert_allclose(found, expected.frequencies_per_cm[-len(found) :], rtol=2e-3)


def test_basin_hopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    atoms = molecule("CH3CH2OH")
    atoms.calc = exact(MOLECULE)
    first = atoms.copy()
    first.calc = exact(MOLECULE)
    BFGS(first, logfile=None).run(fmax=0.1)
    hopping = BasinHopping(
        atoms, temperature=300 * units.kB, dr=0.1, fmax=0.1, logfile=None, optimizer_logfile=None
    )
    # From some of its random steps, relaxing takes minutes.
    monkeypatch.setattr(np.random, "uniform", np.random.default_rng(1).uniform)
    hopping.run(3)
    energy, best = hopping.get_minimum()
    assert energy <= first.get_potential_energy() + 0.02
    assert exact(MOLECULE).get_property("energy", best) == pytest.approx(energy, abs=1e-9)


def test_minima_hopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    atoms = molecule("CH3CH2OH")
    atoms.calc = exact(MOLECULE)
    hopping = MinimaHopping(
        atoms, T0=500.0, fmax=0.1, timestep=0.5 * units.fs, rng=np.random.RandomState(0)
    )
    hopping(totalsteps=1)
    minima: Any = read("minima.traj", ":")
    assert len(minima) >= 1
    for minimum in minima:
        again = minimum.copy()
        again.calc = exact(MOLECULE)
        assert again.get_potential_energy() == pytest.approx(minimum.get_potential_energy())
        assert np.linalg.norm(again.get_forces(), axis=1).max() < 0.1


# Atom 0 fixed, atom 1 free along x and z only, atom 2 free.
POSCAR = """Cu3 on a square
1.0
5.2 0.0 0.0
0.0 5.2 0.0
0.0 0.0 12.0
Cu
3
Selective dynamics
Direct
0.00 0.00 0.40 F F F
0.50 0.02 0.41 T F T
{} 0.53 0.57 T T T
"""


@pytest.fixture
def poscar(tmp_path: Path) -> Callable[[float], Atoms]:
    """A file with selective dynamics, read as the commands read it; the third atom's x is given."""

    def make(x: float) -> Atoms:
        file = tmp_path / "POSCAR"
        file.write_text(POSCAR.format(x))
        return read_atoms(file, "-1")[0]

    return make


def held(start: Atoms, end: Atoms) -> bool:
    """Whether what the file fixes has stayed, and the rest has not."""
    moved = np.abs(end.positions - start.positions)
    fixed = np.array([[True, True, True], [False, True, False], [False, False, False]])
    return bool(moved[fixed].max() < 1e-12 and moved[~fixed].max() > 1e-3)


def test_selective_dynamics_in_relaxations(poscar: Callable, tmp_path: Path) -> None:
    start = poscar(0.25)
    settings = RelaxSettings(fmax=0.05, steps=5)
    assert held(start, relax(start, EMT(), settings, output=tmp_path / "r", progress=False).atoms)
    many = RelaxManySettings(fmax=0.05, steps=5)
    assert held(start, relax_many([start], EMT(), many, progress=False).results[0].atoms)
    # What relax leaves is what dynamics starts from.
    (final,) = read_atoms(tmp_path / "r" / "final.traj", "-1")
    assert held(final, run_md(final, EMT(), MDSettings(steps=20), progress=False).atoms)


@pytest.mark.parametrize("ensemble", ["nve", "nvt-langevin", "nvt-bussi", "nvt-nose-hoover"])
def test_selective_dynamics_in_dynamics(ensemble: Any, poscar: Callable) -> None:
    start = poscar(0.25)
    settings = MDSettings(ensemble=ensemble, steps=20)
    result = run_md(start, EMT(), settings, progress=False)
    assert result.completed, result.reason
    assert held(start, result.atoms)


def test_selective_dynamics_under_pressure_is_refused(poscar: Callable) -> None:
    with pytest.raises(ValueError, match="nvt-langevin"):
        run_md(poscar(0.25), EMT(), MDSettings(ensemble="npt-mtk"), progress=False)


def test_selective_dynamics_along_a_path(poscar: Callable) -> None:
    ends = poscar(0.25), poscar(0.70)
    settings = NEBSettings(
        images=3, interpolation="linear", relax=False, steps=3, refine=False,
        vibrational_check=False,
    )  # fmt: skip
    result = neb(ends, EMT(), settings, progress=False)
    assert held(ends[0], result.images[1])


def test_selective_dynamics_in_vibrations(poscar: Callable) -> None:
    """Five coordinates are free, and so many modes there are."""
    settings = VibrationsSettings(fmax=100.0, thermochemistry="none")
    result = vibrations(poscar(0.25), EMT(), settings, progress=False)
    assert result.hessian.shape == (5, 5)
    assert len(result.frequencies_per_cm) == 5


def test_selective_dynamics_is_set_aside_for_phonons(poscar: Callable) -> None:
    settings = PhononSettings(relax=False, supercell=(1, 1, 1), mesh=(1, 1, 1))
    result = phonons(poscar(0.25), EMT(), settings, progress=False)
    assert "constraint" in result.reason


@pytest.fixture
def described() -> Atoms:
    """A structure with magnetic moments, tags, charges and an array in its description."""
    atoms = fcc111("Cu", (1, 1, 3), vacuum=5.0)
    atoms.set_initial_magnetic_moments([0.5, -1.0, 2.0])
    atoms.set_tags([3, 1, 2])
    atoms.info = {"name": "slab", "grid": np.arange(6.0).reshape(2, 3), "charge": 0}
    return atoms


def _relaxed(atoms: Atoms, folder: Path) -> None:
    relax(atoms, EMT(), RelaxSettings(steps=2), output=folder, progress=False)


def _moved(atoms: Atoms, folder: Path) -> None:
    run_md(atoms, EMT(), MDSettings(steps=2), output=folder, progress=False)


def _relaxed_with_others(atoms: Atoms, folder: Path) -> None:
    settings = RelaxManySettings(steps=2)
    relax_many([bulk("Cu"), atoms], EMT(), settings, output=folder, progress=False)


@pytest.mark.parametrize(
    ("work", "file"),
    [
        (_relaxed, "final.extxyz"),
        (_relaxed, "final.traj"),
        (_moved, "final.extxyz"),
        (_moved, "final.traj"),
        (_relaxed_with_others, "relaxed.extxyz"),
    ],
)
def test_what_describes_atoms_is_kept(
    work: Callable[[Atoms, Path], None], file: str, described: Atoms, tmp_path: Path
) -> None:
    work(described, tmp_path / "run")
    found = read_atoms(tmp_path / "run" / file, "-1")[0]
    np.testing.assert_array_equal(found.get_initial_magnetic_moments(), [0.5, -1.0, 2.0])
    np.testing.assert_array_equal(found.get_tags(), [3, 1, 2])
    assert found.info["name"] == "slab"
    assert found.info["charge"] == 0
    np.testing.assert_array_equal(found.info["grid"], np.arange(6.0).reshape(2, 3))


def test_a_given_drift_is_kept_and_a_drawn_one_is_none() -> None:
    atoms = bulk("Cu", cubic=True)
    drawn = run_md(atoms, EMT(), MDSettings(ensemble="nve", steps=20), progress=False).atoms
    np.testing.assert_allclose(drawn.get_momenta().sum(axis=0), 0.0, atol=1e-10)
    velocity = np.array([0.01, -0.02, 0.03])
    atoms.set_velocities(drawn.get_velocities() + velocity)
    settings = MDSettings(ensemble="nve", steps=20, timestep_fs=1.0)
    moved = run_md(atoms, EMT(), settings, progress=False).atoms
    total = atoms.get_masses().sum()
    np.testing.assert_allclose(moved.get_momenta().sum(axis=0) / total, velocity, atol=1e-12)
    way = moved.get_center_of_mass() - atoms.get_center_of_mass()
    np.testing.assert_allclose(way, velocity * 20.0 * units.fs, atol=1e-10)


def test_virtual_sites_are_refused_by_name() -> None:
    """Water of four sites, as ASE's TIP4P adds its own: X is no element."""
    water = TIP4P().add_virtual_sites(molecule("H2O").positions)
    atoms = Atoms("OH2X", water)
    with pytest.raises(ValueError, match="X .*virtual"):
        exact("so3krates-rmd17").get_property("energy", atoms)
    with pytest.raises(ValueError, match="X .*virtual"):
        run_md(atoms, "so3krates-rmd17", MDSettings(steps=1), progress=False)
