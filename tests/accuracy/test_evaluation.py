from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.stress import voigt_6_to_full_3x3_stress

from ase_geomformer.accuracy.errors import force_errors, mean_cosine
from ase_geomformer.accuracy.evaluation import Evaluation, evaluate_frames
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.potential import Potential

ENERGY_SHIFTS = np.array([0.012, -0.030, 0.006])  # eV
FORCE_SHIFT = np.array([0.003, -0.004, 0.0])  # eV/Å, 5 meV/Å long
STRESS_SHIFT_GPA = 0.5


def labelled_by(potential: Potential, structures: list[Atoms]) -> list[Frame]:
    """Frames labelled with what the potential itself gives."""
    calculator = PotentialCalculator(potential, device="cpu")
    frames = []
    for index, atoms in enumerate(structures):
        stress = None
        if atoms.cell.rank == 3:
            stress = voigt_6_to_full_3x3_stress(calculator.get_stress(atoms))
        energy, forces = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
        frames.append(Frame(atoms, energy, forces, stress, source="made_up.xyz", index=10 + index))
    return frames


@pytest.fixture
def structures(silicon: Atoms) -> list[Atoms]:
    return [molecule("CH3CH2OH"), molecule("H2O"), silicon]


@pytest.fixture
def exact(potential: Potential, structures: list[Atoms]) -> list[Frame]:
    return labelled_by(potential, structures)


def test_errors_of_perfect_labels_vanish(potential: Potential, exact: list[Frame]) -> None:
    evaluation = evaluate_frames(potential, exact, device="cpu")
    assert evaluation.energy.max_error_meV < 1e-8
    assert evaluation.forces.max_error_meV_per_A < 1e-8
    assert evaluation.forces.mean_cosine == pytest.approx(1.0, abs=1e-12)
    assert evaluation.stress.max_error_GPa < 1e-10


def test_known_shifts_come_back_as_errors(potential: Potential, exact: list[Frame]) -> None:
    shifted = [
        replace(
            frame,
            energy=frame.energy - shift,
            forces=frame.forces - FORCE_SHIFT,
            stress=None if frame.stress is None else frame.stress - STRESS_SHIFT_GPA * units.GPa,
        )
        for frame, shift in zip(exact, ENERGY_SHIFTS, strict=True)
    ]
    evaluation = evaluate_frames(potential, shifted, device="cpu")
    per_atom = 1e3 * ENERGY_SHIFTS / [9, 3, 8]
    expected = {
        "frames": 3,
        "atoms": 20,
        "energy_frames": 3,
        "energy_mae_meV": 16.0,
        "energy_rmse_meV": 1e3 * np.sqrt((ENERGY_SHIFTS**2).mean()),
        "energy_max_error_meV": 30.0,
        "energy_mae_meV_per_atom": np.abs(per_atom).mean(),
        "energy_rmse_meV_per_atom": np.sqrt((per_atom**2).mean()),
        "energy_max_error_meV_per_atom": 10.0,
        "energy_mean_error_meV_per_atom": per_atom.mean(),
        "forces_atoms": 20,
        "forces_mae_meV_per_A": 7.0 / 3.0,
        "forces_rmse_meV_per_A": 5.0 / np.sqrt(3.0),
        "forces_max_error_meV_per_A": 5.0,
        "stress_frames": 1,
        "stress_mae_GPa": STRESS_SHIFT_GPA,
        "stress_rmse_GPa": STRESS_SHIFT_GPA,
        "stress_max_error_GPa": STRESS_SHIFT_GPA,
    }
    found = evaluation.to_dict()
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert evaluation.headlines == {
        name: found[name]
        for name in ("energy_mae_meV_per_atom", "forces_mae_meV_per_A", "stress_mae_GPa")
    }


def test_errors_of_an_element_are_those_of_its_atoms(
    potential: Potential, exact: list[Frame]
) -> None:
    hydrogens = [
        replace(frame, forces=frame.forces - FORCE_SHIFT * (frame.atoms.numbers == 1)[:, None])
        for frame in exact
    ]
    by_element = evaluate_frames(potential, hydrogens, device="cpu").forces_by_element
    assert list(by_element) == ["H", "C", "O", "Si"]
    assert [errors.atoms for errors in by_element.values()] == [8, 2, 2, 8]
    assert by_element["H"].mae_meV_per_A == pytest.approx(7.0 / 3.0)
    assert max(by_element[symbol].max_error_meV_per_A for symbol in ("C", "O", "Si")) < 1e-8


def test_each_frame_is_compared_where_it_has_labels(
    potential: Potential, exact: list[Frame]
) -> None:
    alcohol, water, crystal = exact
    frames = [
        replace(alcohol, forces=None, energy=alcohol.energy - 0.018),
        Frame(atoms=bulk("Si"), source="bare.xyz"),
        replace(water, energy=None, forces=water.forces - FORCE_SHIFT),
        replace(crystal, stress=None, forces=None),
    ]
    evaluation = evaluate_frames(potential, frames, device="cpu")
    found = evaluation.to_dict()
    assert found["energy_frames"] == 2
    assert found["energy_mae_meV"] == pytest.approx(9.0)
    assert found["energy_mae_meV_per_atom"] == pytest.approx(1.0)
    assert found["forces_atoms"] == 3
    assert found["forces_max_error_meV_per_A"] == pytest.approx(5.0)
    assert evaluation.stress is None
    assert not [name for name in found if name.startswith("stress")]
    # Ethanol's 9 atoms and silicon's 2 come before water's.
    assert evaluation.comparisons["forces"].rows.tolist() == [11, 12, 13]
    assert set(evaluation.forces_by_element) == {"H", "O"}


def test_each_file_is_judged_as_it_would_be_alone(potential: Potential, exact: list[Frame]) -> None:
    alcohol, water, crystal = exact
    here = [
        replace(alcohol, forces=None, energy=alcohol.energy - 0.018, source="here.xyz"),
        replace(crystal, energy=None, forces=crystal.forces - FORCE_SHIFT, source="here.xyz"),
    ]
    there = [replace(water, forces=water.forces + FORCE_SHIFT, source="there.xyz")]
    bare = [Frame(atoms=bulk("Si"), source="bare.xyz")]
    mixed = [here[0], *there, here[1], *bare]
    together = evaluate_frames(potential, mixed, device="cpu")
    assert list(together.by_file) == ["here.xyz", "there.xyz", "bare.xyz"]
    for frames in (here, there):
        alone = evaluate_frames(potential, frames, device="cpu")
        part = together.by_file[frames[0].source]
        assert part.frames == tuple(frames)
        assert part.comparisons.keys() == alone.comparisons.keys()
        for target, found in alone.comparisons.items():
            np.testing.assert_array_equal(part.comparisons[target].rows, found.rows)
            np.testing.assert_allclose(
                part.comparisons[target].difference, found.difference, atol=1e-10
            )
        assert not alone.by_file
    assert together.to_dict()["by_file"]["here.xyz"]["energy_mae_meV"] == pytest.approx(18.0)
    assert together.to_dict()["by_file"]["bare.xyz"]["frames"] == 1


def test_worst_frames_are_named_by_file_and_place(potential: Potential, exact: list[Frame]) -> None:
    alcohol, water, crystal = exact
    one_atom = np.zeros((9, 3))
    one_atom[4] = FORCE_SHIFT
    frames = [
        replace(alcohol, forces=alcohol.forces - one_atom),
        replace(water, energy=water.energy - 0.003),
        replace(crystal, energy=crystal.energy + 0.004, stress=crystal.stress + 0.1 * units.GPa),
    ]
    worst = evaluate_frames(potential, frames, device="cpu").worst
    energies = worst["energy_error_meV_per_atom"]
    assert [(w.source, w.index, w.formula) for w in energies[:2]] == [
        ("made_up.xyz", 11, "H2O"),
        ("made_up.xyz", 12, "Si8"),
    ]
    assert [w.error for w in energies[:2]] == pytest.approx([1.0, 0.5])
    assert worst["forces_max_error_meV_per_A"][0].formula == "C2H6O"
    assert worst["forces_max_error_meV_per_A"][0].error == pytest.approx(5.0)
    assert [w.error for w in worst["stress_max_error_GPa"]] == pytest.approx([0.1])


def test_cosine_is_of_the_angle_between_forces() -> None:
    reference = np.array([[2.0, 0, 0], [0, 0.5, 0], [0, 0, 1.0], [0, 0, 1e-9]])
    prediction = np.array([[0.1, 0, 0], [1.0, 1.0, 0], [0, 0, 0], [5.0, 0, 0]])
    # Along, 45 degrees, no prediction; the last reference has no direction and does not count.
    assert mean_cosine(reference, prediction) == pytest.approx((1 + np.sqrt(0.5) + 0) / 3)
    assert force_errors(np.zeros((2, 3)), prediction[:2]).mean_cosine is None


def test_predictions_are_kept_and_saved(
    potential: Potential, exact: list[Frame], tmp_path: Path
) -> None:
    evaluation = evaluate_frames(potential, exact, device="cpu")
    evaluation.save(tmp_path / "predictions.npz")
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as saved:
        assert saved["frame_source"].tolist() == ["made_up.xyz"] * 3
        assert saved["frame_index"].tolist() == [10, 11, 12]
        second = saved["atom_frame"][saved["forces_row"]] == 1
        np.testing.assert_array_equal(saved["forces_reference_eV_per_A"][second], exact[1].forces)
        assert saved["atomic_numbers"][saved["forces_row"]][second].tolist() == [8, 1, 1]
        assert saved["energy_prediction_eV"] == pytest.approx([frame.energy for frame in exact])
        assert saved["stress_row"].tolist() == [2]
        assert saved["stress_prediction_eV_per_A3"].shape == (1, 3, 3)


def test_real_frames_with_and_without_stress(
    make_potential: Callable[..., Potential], shared: Path
) -> None:
    path = str(shared / "data/mlearn/Si_test.xyz.xz")
    groups = ("Elastic", "Surface")
    both = [read_frames(DataSettings(path, select={"group": group}))[:2] for group in groups]
    frames = [*both[0], *both[1]]
    potential = make_potential("Si", num_layers=1)
    evaluation = evaluate_frames(potential, frames, device="cpu")
    found = evaluation.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["stress_frames"] == 2
    calculator = PotentialCalculator(potential, device="cpu")
    energies = [calculator.get_potential_energy(frame.atoms) for frame in frames]
    errors = 1e3 * np.subtract(energies, [frame.energy for frame in frames])
    assert found["energy_mae_meV"] == pytest.approx(np.abs(errors).mean())


def test_a_calculator_and_a_type_can_be_given(potential: Potential, exact: list[Frame]) -> None:
    by_calculator = evaluate_frames(PotentialCalculator(potential, device="cpu"), exact)
    assert by_calculator.energy.max_error_meV < 1e-8
    rounded = evaluate_frames(potential, exact, device="cpu", dtype="float32")
    assert 1e-8 < rounded.forces.max_error_meV_per_A < 1.0


def evaluation_of(potential: Potential, frames: list[Frame]) -> Evaluation:
    return evaluate_frames(potential, frames, device="cpu")


def test_frames_without_labels_are_refused(potential: Potential) -> None:
    with pytest.raises(ValueError, match="none of the 1 frames has labels"):
        evaluation_of(potential, [Frame(atoms=molecule("H2O"))])


def test_an_unknown_element_is_named_with_its_frame(potential: Potential) -> None:
    frames = [Frame(atoms=bulk("Cu"), energy=0.0, source="copper.xyz", index=7)]
    with pytest.raises(ValueError, match=r"copper\.xyz, frame 7: .*Cu"):
        evaluation_of(potential, frames)


def test_a_prediction_of_nan_is_named_with_its_frame(
    potential: Potential, exact: list[Frame]
) -> None:
    potential.energy_scale = float("nan")
    with pytest.raises(ValueError, match=r"made_up\.xyz, frame 10: .*NaN or infinite energy"):
        evaluation_of(potential, exact)
