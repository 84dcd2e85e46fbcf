"""The analysis of whole trajectories, by the verb and from Python."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import write

from ase_geomformer.cli import main
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import (
    AnalysisSettings,
    analyze,
    load_frames,
    mean_square_displacement,
    radial_distribution,
    velocity_autocorrelation,
)
from ase_geomformer.md.replicas import ReplicaSettings, run_replicas

SETTINGS = MDSettings(
    temperature_K=600, timestep_fs=4.0, steps=240, equilibration_steps=40, log_interval=2,
    trajectory_interval=4, log_stress=True, friction_per_fs=0.02,
)  # fmt: skip


def copper_gold() -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.75) * 2
    atoms.symbols[::4] = "Au"
    return atoms


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alloy") / "run"
    run_md(copper_gold(), EMT(), SETTINGS, output=folder, progress=False)
    return folder


def test_the_verb_gives_what_the_functions_give(run: Path, tmp_path: Path) -> None:
    words = ["analyze", "--structure", str(run), "--output", str(tmp_path / "analysis")]
    assert main([*words, "--progress", "false", "--pairs", "Cu-Au", "Au-Au"]) == 0
    content = json.loads((tmp_path / "analysis" / "result.json").read_text())
    frames = load_frames(run)[10:]  # after 40 steps, one frame every 4
    assert content["frames"] == len(frames) == 51
    assert content["temperature_K"] == 600
    assert content["formula"] == "Au8Cu24"
    rdf = radial_distribution(frames, "Cu", "Au")
    assert content["radial_distributions"].keys() == {"Cu-Au", "Au-Au"}
    assert content["radial_distributions"]["Cu-Au"]["coordination"] == rdf.shell[2]
    msd = mean_square_displacement(frames, "Au")
    assert content["diffusion_A2_per_ps"]["Au"]["value"] == pytest.approx(msd.diffusion_A2_per_ps)
    assert content["diffusion_A2_per_ps"]["Au"]["finite_size_corrected"] is None
    with np.load(tmp_path / "analysis" / "analysis.npz") as arrays:
        vacf = velocity_autocorrelation(frames, "Cu")
        np.testing.assert_allclose(arrays["velocities/Cu/vacf"], vacf.vacf)
        np.testing.assert_allclose(arrays["rdf/Cu-Au/g"], rdf.g)
    heat = content["heat_capacity_kB_per_atom"]
    assert heat["value"] > 0 < heat["error"]
    made = content["provenance"]
    assert made["source"] == str(run)
    assert made["source_provenance"]["potential"]["calculator"] == "EMT"
    names = {path.name for path in (tmp_path / "analysis").iterdir()}
    assert {"rdf.png", "bonds.png", "msd.png", "vibrations.png", "settings.yaml"} <= names


def test_logged_pressures_are_those_of_the_calculator(run: Path) -> None:
    result = run_md(None, EMT(), SETTINGS, output=run, resume=True, progress=False)
    log, last = result.log, result.atoms.copy()
    last.calc = EMT()
    expected = -last.get_stress(include_ideal_gas=True) / 0.006241509125883258
    found = [log[f"pressure_{name}_GPa"][-1] for name in ("xx", "yy", "zz", "yz", "xz", "xy")]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert "pressure_GPa" not in log


def test_viscosity_corrects_diffusion_of_a_cubic_cell(run: Path) -> None:
    settings = AnalysisSettings(viscosity_mPa_s=2.0, structure_every=10)
    result = analyze(run, settings, progress=False)
    side = 2 * 3.75e-10
    expected = 2.837297 * 1.380649e-23 * 600 / (6 * np.pi * 2e-3 * side) * 1e8
    assert result.correction_A2_per_ps == pytest.approx(expected, rel=1e-4)
    everything = result.summary()["diffusion_A2_per_ps"]["all"]
    assert everything["finite_size_corrected"] == pytest.approx(everything["value"] + expected)


def test_a_log_too_short_for_a_viscosity_says_so(run: Path) -> None:
    """Or that the library for it is missing."""
    result = analyze(run, AnalysisSettings(structure_every=50), progress=False)
    assert result.viscosity is None
    assert re.search(r"no viscosity: (101 rows are too few|.* need stacie)", result.reason)


def test_replicas_log_pressures_too(tmp_path: Path) -> None:
    found = run_replicas(
        bulk("Cu", cubic=True), EMT(), MDSettings(steps=4, log_interval=2, log_stress=True),
        ReplicaSettings(copies=2), progress=False,
    )  # fmt: skip
    assert all("pressure_xy_GPa" in replica.log for replica in found.replicas)


def test_frames_of_a_molecule_in_memory() -> None:
    frames = []
    for step in range(200):
        atoms = molecule("H2O")
        arms = atoms.positions[1:] - atoms.positions[0]
        atoms.positions[1:] += 0.02 * np.sin(2 * np.pi * step / 20) * arms
        atoms.set_velocities(np.gradient(atoms.positions, axis=0))
        frames.append(atoms)
    settings = AnalysisSettings(interval_fs=0.5, temperature_K=300.0)
    result = analyze(frames, settings, progress=False)
    assert result.rdfs.keys() == {"H-H", "H-O", "O-O"}
    assert result.rdfs["H-O"].g is None
    angle = result.bonds.angles["H-O-H"]
    assert angle.mean == pytest.approx(molecule("H2O").get_angle(1, 0, 2))
    assert angle.std == pytest.approx(0.0, abs=1e-6)
    assert result.fluctuations is None
    assert result.viscosity is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pairs": ["Cu-Xx"]}, "must be two of Au, Cu"),
        ({"start_ps": 5.0}, "are before start_ps"),
    ],
)
def test_what_makes_no_sense_is_refused(
    settings: dict[str, Any], words: str, run: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        analyze(run, AnalysisSettings(**settings), output=tmp_path / "new", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_short_trajectory_says_what_it_does_not_tell(tmp_path: Path) -> None:
    file = tmp_path / "few.traj"
    write(file, [copper_gold()] * 3)
    result = analyze(file, AnalysisSettings(interval_fs=1.0), progress=False)
    assert "no diffusion: 3 frames" in result.reason
    assert "no vibrations: 3 frames" in result.reason
    assert result.rdfs["Cu-Cu"].shell[2] > 0


def test_pressures_are_refused_where_there_are_none() -> None:
    settings = MDSettings(steps=2, log_stress=True)
    with pytest.raises(ValueError, match="log_stress needs a structure periodic"):
        run_md(molecule("H2O"), EMT(), settings, progress=False)
    held = copper_gold()
    held.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="log_stress leaves out the forces of constraints"):
        run_md(held, EMT(), settings, progress=False)
