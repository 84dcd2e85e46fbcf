"""Phonons against phonopy run by hand, and the contracts of the recipe."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
import yaml
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_geomformer.evaluate import SerialEvaluator
from ase_geomformer.potential import Potential
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.phonons.run import phonons
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.recipes.lattice.stability import ImaginaryModesError, ImaginaryModesWarning

# Coarse: what is tested does not depend on it.
COARSE = {"mesh": [4, 4, 4], "band_points": 5, "temperature_step_K": 100.0}
SMALL = PhononSettings(supercell=[2, 2, 2], **COARSE)


class Counting(SerialEvaluator):
    """Counts structures, and fails like a process that is killed after so many."""

    def __init__(self, calculator: Any, until: float = np.inf) -> None:
        super().__init__(calculator)
        self.count, self.until = 0, until

    def __call__(self, structures: Any, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        structures = list(structures)
        if self.count + len(structures) > self.until:
            raise KeyboardInterrupt
        self.count += len(structures)
        return super().__call__(structures, *arguments, **options)


def quiet(atoms: Atoms, potential: Any, settings: PhononSettings, **options: Any) -> PhononResult:
    return phonons(atoms, potential, settings, progress=False, **options)


@pytest.mark.parametrize(
    ("crystal", "calculator", "repeats"),
    [
        pytest.param(
            bulk("Ar", "fcc", a=5.24),
            LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True),
            3,
            id="LJ",
        ),
        pytest.param(bulk("Cu", "fcc", a=3.59), EMT(), 3, id="EMT"),
    ],
)
def test_bands_are_those_of_phonopy_by_hand(crystal: Atoms, calculator: Any, repeats: int) -> None:
    settings = PhononSettings(supercell=[repeats] * 3, relax=False, **COARSE)
    found = quiet(crystal, calculator, settings)
    by_hand = Phonopy(
        PhonopyAtoms(symbols=crystal.symbols, cell=crystal.cell, scaled_positions=[[0, 0, 0]]),
        np.diag([repeats] * 3),
        primitive_matrix="P",
    )
    by_hand.generate_displacements(distance=0.01)
    forces = []
    for cell in by_hand.supercells_with_displacements:
        displaced = Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True)
        displaced.calc = calculator
        forces.append(displaced.get_forces())
    by_hand.forces = forces
    by_hand.produce_force_constants()
    by_hand.symmetrize_force_constants()
    by_hand.run_band_structure(found.bands.q_points)
    for ours, theirs in zip(
        found.bands.frequencies_THz, by_hand.band_structure.frequencies, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert found.bands.frequencies_THz[0].max() > 1.0


def test_relaxed_crystal_has_translations_only_at_gamma(
    argon: Atoms, lennard_jones: LennardJones
) -> None:
    argon.set_cell(argon.cell.array * 1.02, scale_atoms=True)
    argon.calc = lennard_jones
    before = argon.copy()
    found = quiet(argon, lennard_jones, SMALL)
    assert found.converged, found.reason
    assert found.acoustic_gap_THz < 1e-5
    assert found.stability.stable
    found.atoms.calc = lennard_jones
    assert abs(found.atoms.get_stress()).max() < 1e-5 * units.GPa * 100
    np.testing.assert_allclose(found.bands.at("Γ"), 0.0, atol=1e-5)
    assert argon == before
    assert argon.calc is lennard_jones


def test_slope_of_acoustic_bands_is_the_group_velocity(
    argon: Atoms, lennard_jones: LennardJones
) -> None:
    found = quiet(argon, lennard_jones, PhononSettings(supercell=[3, 3, 3], **COARSE))
    bands = found.bands
    segment = bands.labels.index(("Γ", "X"))
    q_points, reciprocal = bands.q_points[segment], np.linalg.inv(found.phonon.primitive.cell)
    middle, step = q_points[2], 1e-4
    direction = reciprocal @ (q_points[-1] - q_points[0])
    direction /= np.linalg.norm(direction)
    moved = [middle + sign * step * found.phonon.primitive.cell @ direction for sign in (1, -1)]
    ahead, behind = found.phonon.run_qpoints(moved).frequencies
    slope = bands.group_velocities_THz_A[segment][2] @ direction
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-3)


def test_densities_count_all_modes_and_elements_add_up() -> None:
    alloy = bulk("Cu", "fcc", a=3.75, cubic=True)
    alloy.numbers[0] = 79
    settings = PhononSettings(supercell=[2, 2, 2], **{**COARSE, "mesh": [9, 9, 9]})
    found = quiet(alloy, EMT(), settings)
    dos = found.dos
    parts = dos.by_element_per_THz
    assert set(parts) == {"Cu", "Au"}
    np.testing.assert_allclose(sum(parts.values()), dos.total_per_THz, atol=1e-9)
    integral = np.trapezoid(dos.total_per_THz, dos.frequencies_THz)
    assert integral == pytest.approx(12.0, rel=0.03)
    # Each element has three modes for each of its atoms.
    gold = np.trapezoid(parts["Au"], dos.frequencies_THz)
    assert gold == pytest.approx(3.0, rel=0.05)
    # Gold is three times as heavy: its part lies lower.
    mean = {name: np.average(dos.frequencies_THz, weights=part) for name, part in parts.items()}
    assert mean["Au"] < 0.8 * mean["Cu"]


def test_thermodynamics(argon: Atoms, lennard_jones: LennardJones) -> None:
    settings = PhononSettings(supercell=[2, 2, 2], **{**COARSE, "mesh": [5, 5, 5]})
    found = quiet(argon, lennard_jones, settings)
    thermal, modes = found.thermal, found.modes
    counted = modes.frequencies_THz > settings.imaginary_tolerance_THz
    energies = units._hplanck / units._e * 1e12 * modes.frequencies_THz
    zero_point = np.sum(modes.weights[:, None] * counted * energies / 2) / modes.weights.sum()
    assert thermal.zero_point_energy_eV == pytest.approx(zero_point, rel=1e-6)
    assert thermal.free_energy_eV[0] == pytest.approx(zero_point, rel=1e-6)
    share = np.average(counted, axis=0, weights=modes.weights).sum() / 3
    assert thermal.heat_capacity_eV_per_K[-1] == pytest.approx(3 * units.kB * share, rel=1e-3)
    # S = -dF/dT, at 500 K from neighbours 100 K away.
    slope = -np.gradient(thermal.free_energy_eV, thermal.temperatures_K)[5]
    assert thermal.entropy_eV_per_K[5] == pytest.approx(slope, rel=1e-2)


def test_mean_square_displacements_are_those_of_phonopy() -> None:
    alloy = bulk("Cu", "fcc", a=3.75, cubic=True)
    alloy.numbers[0] = 79
    found = quiet(alloy, EMT(), SMALL)
    phonon = found.phonon
    phonon.run_mesh(
        SMALL.mesh, with_eigenvectors=True, is_mesh_symmetry=False, is_gamma_center=True
    )
    phonon.run_thermal_displacements(
        temperatures=found.thermal.temperatures_K, freq_min=SMALL.imaginary_tolerance_THz
    )
    expected = np.array(phonon.thermal_displacements.thermal_displacements)
    expected = expected.reshape(len(expected), -1, 3).mean(axis=2)
    np.testing.assert_allclose(found.thermal.mean_square_displacement_A2, expected, rtol=1e-5)


def test_exact_force_constants_agree_with_displacements(
    make_potential: Callable[..., Potential],
) -> None:
    potential = make_potential("Si", cutoff=3.5)
    silicon = bulk("Si", a=5.43)
    frequencies = {}
    for source in ("displacements", "hessian"):
        settings = PhononSettings(
            supercell=[2, 2, 2], relax=False, force_constants=source, imaginary="ignore",
            displacement_A=0.002, **COARSE,
        )  # fmt: skip
        found = quiet(silicon, potential, settings)
        frequencies[source] = found.modes.frequencies_THz
        assert found.structures_evaluated == (0 if source == "hessian" else 1)
    size = np.abs(frequencies["hessian"]).max()
    np.testing.assert_allclose(
        frequencies["displacements"], frequencies["hessian"], atol=2e-3 * size
    )
    with pytest.raises(ValueError, match="needs a potential of this package, not EMT"):
        quiet(bulk("Cu"), EMT(), PhononSettings(supercell=[2, 2, 2], force_constants="hessian"))


def test_what_phonopy_reads_goes_on_from_our_files(
    argon: Atoms, lennard_jones: LennardJones, tmp_path: Path
) -> None:
    found = quiet(argon, lennard_jones, SMALL, output=tmp_path / "run")
    folder = tmp_path / "run"
    for options in (
        {},
        {"force_sets_filename": folder / "FORCE_SETS"},
        {"force_constants_filename": folder / "FORCE_CONSTANTS"},
    ):
        again = phonopy.load(folder / "phonopy.yaml", log_level=0, **options)
        if again.force_constants is None:
            again.produce_force_constants()
        again.symmetrize_force_constants()
        again.run_band_structure(found.bands.q_points)
        for ours, theirs in zip(
            found.bands.frequencies_THz, again.band_structure.frequencies, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    bands = yaml.safe_load((folder / "band.yaml").read_text())
    rows = [[band["frequency"] for band in point["band"]] for point in bands["phonon"]]
    np.testing.assert_allclose(rows, np.concatenate(found.bands.frequencies_THz), atol=1e-6)
    result = json.loads((folder / "result.json").read_text())
    assert result["converged"] is True
    assert result["frequencies_THz"]["X"] == pytest.approx(found.bands.at("X"))
    with np.load(folder / "phonons.npz") as arrays:
        np.testing.assert_array_equal(arrays["mesh_frequencies_THz"], found.modes.frequencies_THz)
    for name in ("bands.png", "thermal.png", "total_dos.dat", "final.extxyz", "settings.yaml"):
        assert (folder / name).stat().st_size > 0


def test_interrupted_run_goes_on_at_the_first_missing_displacement(tmp_path: Path) -> None:
    alloy = bulk("Cu", "fcc", a=3.75, cubic=True)
    alloy.numbers[0] = 79
    alloy.positions[1] += [0.1, 0.05, 0.02]  # little symmetry, many displacements
    settings = PhononSettings(
        supercell=[2, 2, 2], relax=False, imaginary="ignore", atoms_per_chunk=70, **COARSE
    )
    whole = Counting(EMT())
    expected = quiet(alloy, whole, settings)
    assert whole.count == expected.structures_evaluated > 10
    first, second = Counting(EMT(), until=7), Counting(EMT())
    with pytest.raises(KeyboardInterrupt):
        quiet(alloy, first, settings, output=tmp_path / "run")
    # As a process leaves it that dies while it writes: half of a structure's forces.
    with (tmp_path / "run" / "displacements.forces").open("ab") as file:
        file.write(b"half")
    found = quiet(alloy, second, settings, output=tmp_path / "run", resume=True)
    assert first.count == 6
    assert second.count == whole.count - first.count
    np.testing.assert_allclose(
        found.phonon.force_constants, expected.phonon.force_constants, atol=1e-10
    )


def test_analysis_again_with_other_settings_evaluates_nothing(
    argon: Atoms, lennard_jones: LennardJones, tmp_path: Path
) -> None:
    quiet(argon, lennard_jones, SMALL, output=tmp_path / "run")
    evaluator = Counting(lennard_jones)
    finer = PhononSettings(supercell=[2, 2, 2], **{**COARSE, "mesh": [6, 6, 6]})
    found = quiet(argon, evaluator, finer, output=tmp_path / "run", resume=True)
    assert evaluator.count == 0
    assert found.modes.mesh.tolist() == [6, 6, 6]
    other = PhononSettings(supercell=[2, 2, 2], displacement_A=0.02, **COARSE)
    with pytest.raises(ValueError, match=r"displacement_A was 0\.01 .* is 0\.02 now"):
        quiet(argon, evaluator, other, output=tmp_path / "run", resume=True)
    (tmp_path / "run" / "relaxed.traj").unlink()
    weaker = LennardJones(sigma=3.39, epsilon=0.0104, rc=6.0, smooth=True)
    with pytest.raises(ValueError, match="of other structures, or of another potential"):
        quiet(argon, weaker, SMALL, output=tmp_path / "run", resume=True)


def test_imaginary_modes_are_reported_as_asked(lennard_jones: LennardJones) -> None:
    # Simple cubic packing is no minimum of a pair potential.
    unstable = bulk("Ar", "sc", a=3.7)
    settings = {"supercell": [3, 3, 3], "cell": "hydrostatic", **COARSE}
    with pytest.raises(ImaginaryModesError, match=r"imaginary modes down to \d"):
        quiet(unstable, lennard_jones, PhononSettings(imaginary="error", **settings))
    with pytest.warns(ImaginaryModesWarning, match="imaginary modes"):
        found = quiet(unstable, lennard_jones, PhononSettings(imaginary="warn", **settings))
    assert not found.converged
    assert not found.stability.stable
    assert found.stability.lowest_frequency_THz < -0.1
    assert "imaginary" in found.reason
    with warnings.catch_warnings():
        warnings.simplefilter("error", ImaginaryModesWarning)
        found = quiet(unstable, lennard_jones, PhononSettings(imaginary="ignore", **settings))
    assert found.converged


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"supercell": [2, 2]}, "three multiples"),
        ({"supercell": [0, 2, 2]}, "positive volume"),
        ({"mesh": [0, 1, 1]}, "mesh = .* each from 1 to 10000"),
        ({"mesh": [1, 1]}, "mesh = .* three positive"),
        ({"mesh": [1000, 1000, 1000]}, "mesh = .* coarser: at most 1e\\+07 points"),
        ({"temperature_step_K": 1e-3, "temperature_max_K": 1e4}, "it gives 1e\\+07 rows"),
        ({"imaginary": "maybe"}, "one of error, warn, ignore"),
        ({"displacement_A": 0.0}, "displacement_A = 0.0 must be from 1e-06 to 1 Å"),
        ({"nac": "born"}, "born_file = None must be given"),
        ({"born_file": "BORN"}, "only then"),
        ({"nac": "charges"}, "needs a potential that predicts charges"),
    ],
)
def test_bad_settings(
    settings: dict[str, Any], message: str, argon: Atoms, lennard_jones: LennardJones
) -> None:
    with pytest.raises(ValueError, match=message):
        quiet(argon, lennard_jones, PhononSettings(**{"supercell": [2, 2, 2], **settings}))


def test_what_is_no_crystal_is_refused(lennard_jones: LennardJones, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a phonon calculation needs a crystal"):
        quiet(Atoms("Ar"), lennard_jones, SMALL, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_phonons_take_the_masses_of_the_atoms(argon: Atoms, lennard_jones: LennardJones) -> None:
    heavy = argon.copy()
    heavy.set_masses([4.0 * argon.get_masses()[0]])
    light, slow = (quiet(one, lennard_jones, SMALL) for one in (argon, heavy))
    np.testing.assert_allclose(
        slow.modes.frequencies_THz, 0.5 * light.modes.frequencies_THz, atol=1e-6
    )
    mixed = argon * (2, 1, 1)
    mixed.set_masses([36.0, 40.0])
    with pytest.raises(ValueError, match="atoms of Ar have masses from 36 to 40 amu"):
        quiet(mixed, lennard_jones, SMALL)
