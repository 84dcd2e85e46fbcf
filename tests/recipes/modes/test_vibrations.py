from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from ase_geomformer.cli import main
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.recipes import VibrationsSettings, vibrations
from ase_geomformer.recipes.modes.derivatives import curvature

POTENTIAL = "so3krates-rmd17-ethanol"
TIGHT = VibrationsSettings(relax=True, fmax=1e-5)


@pytest.fixture(scope="module")
def ethanol() -> Any:
    """Relaxed with the shipped potential."""
    return vibrations(molecule("CH3CH2OH"), POTENTIAL, TIGHT, progress=False)


@pytest.fixture(scope="module")
def nitrogen() -> Atoms:
    """A molecule relaxed by EMT."""
    atoms = molecule("N2")
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-6)
    return atoms


def test_exact_frequencies_are_those_of_finite_differences(ethanol: Any) -> None:
    assert ethanol.method == "exact"
    assert ethanol.converged
    assert len(ethanol.frequencies_per_cm) == 21
    differences = VibrationsSettings(hessian="finite-difference", fmax=1e-5)
    other = vibrations(ethanol.atoms, POTENTIAL, differences, progress=False)
    assert other.method == "finite-difference"
    gap = np.abs(other.frequencies_per_cm - ethanol.frequencies_per_cm)
    assert gap.max() < 0.1
    assert other.zero_point_energy_eV == pytest.approx(ethanol.zero_point_energy_eV, abs=1e-5)


def test_ethanol_looks_like_ethanol(ethanol: Any) -> None:
    """O-H stretch above the C-H ones, all of them above 2800 cm^-1; torsions below 500 cm^-1."""
    found = ethanol.frequencies_per_cm
    assert 3500.0 < found[-1] < 3900.0
    assert ((found[-6:-1] > 2750.0) & (found[-6:-1] < 3200.0)).all()
    assert (found[:3] < 500.0).all()
    heaviest = np.linalg.norm(ethanol.modes.vectors[-1], axis=1).argmax()
    oxygen = ethanol.atoms.symbols.search("O")[0]
    assert ethanol.atoms.symbols[heaviest] == "H"
    assert ethanol.atoms.get_distance(heaviest, oxygen) < 1.1
    assert np.abs(ethanol.modes.whole_per_cm).max() < 1.0
    assert ethanol.symmetry_number == 1
    # The measured standard entropy of the gas, 281.6 J/mol/K, has two conformers and a rotor.
    entropy = ethanol.at(298.15).entropy_eV_per_K * 96485.33
    assert 260.0 < entropy < 285.0


def test_as_ase_has_it_with_emt(nitrogen: Atoms, tmp_path: Path) -> None:
    settings = VibrationsSettings(step_A=0.01, temperature_K=300.0)
    result = vibrations(nitrogen, EMT(), settings, progress=False)
    theirs = Vibrations(nitrogen, delta=0.01, name=str(tmp_path / "vib"))
    theirs.run()
    assert result.frequencies_per_cm[0] == pytest.approx(theirs.get_frequencies()[-1].real, abs=0.1)
    assert result.symmetry_number == 2
    assert result.at(300.0).enthalpy_eV > result.energy_eV


def test_a_structure_that_is_not_relaxed_is_refused(tmp_path: Path) -> None:
    atoms = molecule("N2")
    with pytest.raises(ValueError, match=r"the force on atom 0 \(N\) is .* relax it first"):
        vibrations(atoms, EMT(), output=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    short = VibrationsSettings(relax=True, relax_steps=1)
    with pytest.raises(ValueError, match="relax_steps = 1"):
        vibrations(atoms, EMT(), short, progress=False)
    before = atoms.positions.copy()
    result = vibrations(atoms, EMT(), VibrationsSettings(relax=True), progress=False)
    assert result.relax_steps > 0
    assert result.fmax_eV_per_A <= 1e-3
    np.testing.assert_array_equal(atoms.positions, before)


def test_an_adsorbate_on_a_bridge_is_a_transition_state() -> None:
    """Oxygen between two hollows of Cu(111) by EMT: one imaginary mode, towards them."""
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    add_adsorbate(slab, "O", 1.3, "bridge")
    slab.set_constraint(FixAtoms(indices=range(8)))
    slab.calc = EMT()
    # Only up and down, so that it stays on the bridge.
    for _ in range(200):
        slab.positions[8, 2] += 0.02 * slab.get_forces()[8, 2]
    settings = VibrationsSettings(fmax=0.1)
    result = vibrations(slab, EMT(), settings, progress=False)
    assert not result.converged
    assert "1 imaginary mode: a transition state" in result.reason
    assert result.thermochemistry == []
    expected = VibrationsSettings(fmax=0.1, expected_imaginary=1)
    again = vibrations(slab, EMT(), expected, progress=False)
    assert again.converged
    assert again.at(298.15).enthalpy_eV is None
    assert again.zero_point_energy_eV == pytest.approx(0.5 * again.modes.energies_eV[1:].sum())


def test_the_folder_holds_what_is_promised(nitrogen: Atoms, tmp_path: Path) -> None:
    output = tmp_path / "run"
    result = vibrations(nitrogen, EMT(), output=output, progress=False)
    assert {file.name for file in output.iterdir()} == {
        "vibrations.npz", "vibrations.png", "modes", "final.extxyz", "final.traj", "settings.yaml",
        "result.json",
    }  # fmt: skip
    stored = json.loads((output / "result.json").read_text())
    assert stored["frequencies_per_cm"] == list(result.frequencies_per_cm)
    assert stored["zero_point_energy_eV"] == result.zero_point_energy_eV
    assert [row["temperature_K"] for row in stored["thermochemistry"]][:3] == [100, 200, 298.15]
    assert stored["provenance"]["potential"]["calculator"] == "EMT"
    with np.load(output / "vibrations.npz") as arrays:
        np.testing.assert_array_equal(arrays["hessian_eV_per_A2"], result.hessian)
        assert arrays["modes"].shape == (1, 2, 3)
    frames = read(output / "modes" / "mode_001.extxyz", index=":")
    assert len(frames) == 16
    lengths = [frame.get_distance(0, 1) for frame in frames]
    assert max(lengths) - nitrogen.get_distance(0, 1) == pytest.approx(0.8, abs=1e-3)
    (output / "modes" / "mode_099.extxyz").write_text("of an earlier run")
    with pytest.raises(FileExistsError, match="not empty"):
        vibrations(nitrogen, EMT(), output=output, progress=False)
    vibrations(nitrogen, EMT(), output=output, overwrite=True, progress=False)
    modes = {file.name for file in (output / "modes").iterdir()}
    assert modes == {"mode_001.extxyz", "mode_001.traj"}


def test_an_atom_has_thermochemistry_without_vibrations(tmp_path: Path) -> None:
    result = vibrations(Atoms("Cu"), EMT(), output=tmp_path / "run", progress=False)
    assert result.converged
    assert result.zero_point_energy_eV == 0.0
    assert result.at(298.15).enthalpy_eV - result.energy_eV == pytest.approx(
        2.5 * 0.025693, rel=1e-3
    )
    with pytest.raises(ValueError, match=r"no thermochemistry at 5\.0 K"):
        result.at(5.0)


def test_float32_is_the_callers_choice() -> None:
    """An evaluator in single precision is taken as it is."""
    atoms = molecule("CH3CH2OH")
    single, _ = curvature(as_evaluator(POTENTIAL, dtype="float32", device="cpu"), atoms)
    double, _ = curvature(as_evaluator(POTENTIAL, dtype="float64", device="cpu"), atoms)
    assert 1e-7 < np.abs(single - double).max() / np.abs(double).max() < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_A": 0.0}, "step_A = 0.0 must be from 1e-05 to 0.5 Å"),
        ({"hessian": "numeric"}, "must be one of auto, exact"),
        ({"symmetry_number": 0}, "symmetry_number = 0 must be from 1 to 120"),
        ({"table_end_K": 50.0}, "at least table_start_K"),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VibrationsSettings(**options)


def test_the_table_of_temperatures() -> None:
    settings = VibrationsSettings(table_start_K=200, table_end_K=400, table_step_K=100)
    assert list(settings.temperatures_K()) == [200, 298.15, 300, 400]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    structure = tmp_path / "ethanol.xyz"
    molecule("CH3CH2OH").write(structure)
    words = ["--potential", POTENTIAL, "--structure", str(structure), "--mode_frames", "0"]
    output = str(tmp_path / "run")
    assert main(["vibrations", *words, "--output", output]) == 2
    assert "not relaxed" in capsys.readouterr().err
    assert main(["vibrations", *words, "--output", output, "--relax", "true"]) == 0
    shown = capsys.readouterr().out
    for text in ("zero-point energy", "entropy at 298.15 K", "exact"):
        assert text in shown
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["converged"] is True
    assert not (tmp_path / "run" / "modes").exists()
