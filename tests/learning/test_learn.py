"""Learning of Cu3Au from EMT: a potential, its errors, its verdict, and a run that is resumed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin

import ase_geomformer
from ase_geomformer.cli import main
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.learning import calibration, export
from ase_geomformer.learning.calibration import spread_factor
from ase_geomformer.learning.context import LearnContext
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.initial import TeacherFailed
from ase_geomformer.learning.label import FRAMES_FILE, STORE_FILE
from ase_geomformer.learning.learner import Learner
from ase_geomformer.learning.result import LearnResult
from ase_geomformer.learning.run import learn
from ase_geomformer.learning.state import RunState
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.validation import is_validation
from ase_geomformer.md.velocities import draw_velocities
from tests.learning.small import SETTINGS, SHORT, crystal, without_extras
from tests.learning.teachers import Faulty

# Half as much again as the 112 of the first run.
BOUND_meV_per_A = 168.0


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> LearnResult:
    """One run, for all tests."""
    output = tmp_path_factory.mktemp("learn") / "out"
    return learn(crystal(), EMT(), SETTINGS, output=output, progress=False)


def test_forces_of_independent_dynamics_are_right_within_the_bound(learned: LearnResult) -> None:
    atoms, rng = crystal(), np.random.default_rng(1)
    atoms.calc = EMT()
    draw_velocities(atoms, 300.0, rng)
    dynamics = Langevin(
        atoms, 4 * units.fs, temperature_K=300, friction=0.02 / units.fs, rng=rng, fixcm=False
    )
    potential = ase_geomformer.PotentialCalculator(learned.potential)
    errors, sizes = [], []
    for _ in range(20):
        dynamics.run(25)
        forces = atoms.get_forces()
        errors.append(np.abs(potential.get_property("forces", atoms) - forces).mean())
        sizes.append(np.abs(forces).mean())
    assert 1e3 * np.mean(errors) < BOUND_meV_per_A
    assert np.mean(errors) < 0.5 * np.mean(sizes)


def test_labels_stay_within_their_number_and_are_those_of_the_teacher(
    learned: LearnResult,
) -> None:
    assert learned.output is not None
    assert learned.calls == learned.labels <= SETTINGS.label_limit
    frames = read_frames(DataSettings(str(learned.output / FRAMES_FILE)))
    origins = {frame.atoms.info["origin"] for frame in frames}
    assert {"isolated", "relaxation", "modes", "strains", "random", "acceptance"} <= origins
    for frame in frames[::7]:
        atoms = frame.atoms.copy()
        atoms.calc = EMT()
        assert frame.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def test_the_folder_is_whole(learned: LearnResult) -> None:
    assert learned.output is not None
    names = {path.name for path in learned.output.iterdir()}
    assert {"potential", "committee", "labels.jsonl", "labels.extxyz", "result.json"} <= names
    assert {"progress.png", "calibration.png", "coverage.png", "parity.png"} <= names
    summary = json.loads((learned.output / "result.json").read_text())
    assert summary["converged"] == learned.verdict.reached == (not learned.problem)
    assert len(summary["checks"]) == 6
    potential = ase_geomformer.load_potential(learned.potential)
    card = potential.card
    assert card is not None
    assert "emt" in card.data[0].level_of_theory
    assert card.figures["teacher_calls"] == learned.calls
    committee = CommitteeCalculator(learned.output / "committee")
    assert len(committee.members) == 2
    assert committee.calibration == learned.errors["spread_calibration"] > 0.5


def test_the_target_is_reached_and_the_verdict_says_so(learned: LearnResult) -> None:
    assert learned.verdict.reached, learned.reason
    assert learned.reason == "target reached"
    by_name = {check.name: check for check in learned.verdict.checks}
    error = by_name["force error at 300 K, larger of two tests"]
    assert error.value == learned.errors["use_meV_per_A"] <= 200.0
    assert learned.errors["use_frames"] >= 4
    assert learned.errors["nve_ps"] == pytest.approx(SETTINGS.acceptance_ps, rel=0.05)


def test_the_tests_calibrate_the_spread_of_the_final_students(learned: LearnResult) -> None:
    assert learned.output is not None
    members = [
        ase_geomformer.load_potential(path)
        for path in sorted((learned.output / "committee").iterdir())
    ]
    held = [
        frame
        for frame in LabelStore(learned.output / STORE_FILE).frames
        if is_validation(frame) and frame.atoms.info["origin"] != "acceptance"
    ]
    factor = learned.errors["factor_before"]
    assert factor == pytest.approx(spread_factor(members, held), rel=1e-3)
    fresh = [
        frame
        for frame in LabelStore(learned.output / STORE_FILE).frames
        if frame.atoms.info["origin"] == "acceptance"
    ]
    final = learned.errors["spread_calibration"]
    assert final == pytest.approx(spread_factor(members, fresh), rel=1e-3)
    assert all(np.allclose(frame.atoms.cell, crystal().cell) for frame in fresh)
    of_students_before = learned.rounds[-1].errors["calibration"]
    assert factor != pytest.approx(of_students_before, rel=0.05)


def test_the_page_of_the_run_stands_alone(learned: LearnResult) -> None:
    assert learned.output is not None
    page = (learned.output / "report.html").read_text(encoding="utf-8")
    assert "target reached" in page
    assert "force error at 300 K" in page
    assert "errors, " not in page
    assert "<h2>How to use the potential</h2>" in page
    for figure in ("progress.png", "calibration.png", "coverage.png", "parity.png"):
        assert figure in page
    assert page.count("data:image/png;base64,") >= 4
    assert 'src="http' not in page


def test_reference_energies_differ_as_the_isolated_atoms_do(learned: LearnResult) -> None:
    energies = ase_geomformer.load_potential(learned.potential).reference_energies
    isolated = {}
    for symbol in ("Cu", "Au"):
        atom = Atoms(symbol, cell=[12, 12, 12], pbc=True, calculator=EMT())
        isolated[symbol] = atom.get_potential_energy()
    # A shift for all, and a correction by the training set's mean error.
    assert energies["Au"] - energies["Cu"] == pytest.approx(
        isolated["Au"] - isolated["Cu"], abs=0.3
    )


def test_validation_frames_were_never_trained_on(learned: LearnResult) -> None:
    assert learned.output is not None
    frames = LabelStore(learned.output / STORE_FILE).frames
    held = [frame for frame in frames if is_validation(frame)]
    assert 0 < len(held) < 0.35 * len(frames)
    keys = [structure_key(frame.atoms) for frame in frames]
    assert len(set(keys)) == len(keys)


class Killed(BaseException):
    """The run ends here, without any clean-up of its own."""


# Functions after whose n-th call of a process it ends: labels, state, training, acceptance, and
# the last file that is written.
CUTS = [(LabelStore, "add", 12), (LearnContext, "save", 2), (LearnContext, "train", 1)]
CUTS += [(LabelStore, "add", 2), (Learner, "_accept", 1), (export, "write_page", 1)]


def test_a_run_that_is_cut_again_and_again_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str) -> LearnResult:
        return learn(crystal(), EMT(), SHORT, output=tmp_path / name, resume=True, progress=False)

    for owner, name, moment in CUTS:
        with monkeypatch.context() as patched, without_extras():
            patched.setattr(owner, name, _ends(getattr(owner, name), moment))
            with pytest.raises(Killed):
                run("cut")
    with without_extras():
        cut, whole = run("cut"), run("whole")
    assert len(cut.rounds) == SHORT.rounds
    assert cut.reason == whole.reason
    assert (tmp_path / "cut" / "report.html").exists()
    stores = [LabelStore(tmp_path / name / STORE_FILE) for name in ("cut", "whole")]
    assert cut.calls == whole.calls
    assert [structure_key(frame.atoms) for frame in stores[0].frames] == [
        structure_key(frame.atoms) for frame in stores[1].frames
    ]
    assert cut.errors == whole.errors


def _ends(method: Any, moment: int) -> Any:
    """The method, which ends the run after its n-th call."""
    made = 0

    def cut(*arguments: Any, **keywords: Any) -> Any:
        nonlocal made
        found = method(*arguments, **keywords)
        made += 1
        if made == moment:
            raise Killed
        return found

    return cut


@pytest.mark.filterwarnings("ignore::ase_geomformer.learning.labelling.TeacherWarning")
def test_a_fifth_of_failing_structures_does_not_end_a_run(tmp_path: Path) -> None:
    teacher, atoms = Faulty(share=0.2), crystal()
    atoms.set_cell([3.73] * 3, scale_atoms=True)  # which is not among those that fail
    with without_extras():
        result = learn(atoms, teacher, SHORT, output=tmp_path / "out", progress=False)
    store = LabelStore(tmp_path / "out" / STORE_FILE)
    failed = {failure.key for failure in store.failures}
    assert store.calls <= SHORT.label_limit
    assert result.failed_calls == len(store.failures) >= 4
    assert max(Counter(failure.key for failure in store.failures).values()) == 2
    assert 0.05 < len(failed) / (len(failed) + result.labels) < 0.4
    assert failed.isdisjoint(structure_key(frame.atoms) for frame in store.frames)
    assert all("did not converge" in failure.reason for failure in store.failures)
    assert np.isfinite(result.errors["use_meV_per_A"])
    assert ase_geomformer.load_potential(result.potential).card is not None


def test_other_settings_are_not_resumed(learned: LearnResult) -> None:
    assert learned.output is not None
    with pytest.raises(ValueError, match="cannot resume: seed"):
        learn(crystal(), EMT(), replace(SETTINGS, seed=5), output=learned.output, resume=True)
    assert RunState.load(learned.output).finished


def test_longer_dynamics_at_constant_energy_are_made_where_no_time_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(acceptance_ps: float, minutes: float = 30.0) -> LearnResult:
        settings = replace(SHORT, acceptance_ps=acceptance_ps, minutes=minutes)
        with without_extras():
            return learn(
                crystal(), EMT(), settings, output=tmp_path / "out", resume=True, progress=False
            )

    def alike(result: LearnResult) -> bool:
        return any("members of the committee hardly differ" in note for note in result.notes)

    first = run(0.1)
    monkeypatch.setattr(calibration, "ALIKE_FACTOR", 1e9)
    longer = run(0.5, minutes=1e-3)
    monkeypatch.setattr(calibration, "ALIKE_FACTOR", 0.1)
    again = run(0.1, minutes=1e-3)
    assert (alike(longer), alike(again)) == (False, True)
    assert first.errors["nve_ps"] == pytest.approx(0.1, rel=0.1)
    assert longer.errors["nve_ps"] == again.errors["nve_ps"] == pytest.approx(0.5, rel=0.1)
    assert longer.calls == first.calls
    assert longer.steps == first.steps
    for name in ("use_meV_per_A", "hot_meV_per_A", "exceedance"):
        assert longer.errors[name] == first.errors[name]


def test_a_teacher_that_fails_for_the_structure_is_refused_at_once(tmp_path: Path) -> None:
    atoms = bulk("Si", cubic=True)  # which EMT does not know
    with pytest.raises(TeacherFailed, match="the teacher failed for the structure itself"):
        learn(atoms, EMT(), SETTINGS, output=tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--minutes", "-1"], "minutes = -1"),
        (["--students.settings", "{num_features: 63}"], "num_features"),
        (["--students.members", "1"], "members = 1"),
        (["--max_labels", "15"], "16 are needed: give 16 or more"),
        (["--max_temperature_K", "200"], "max_temperature_K = 200 is not above"),
        (["--teacher", "no_such_package:calculator"], "cannot be loaded"),
    ],
)
def test_bad_input_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], error: str
) -> None:
    crystal().write(tmp_path / "crystal.xyz", format="extxyz")
    argv = ["learn", "--structure", str(tmp_path / "crystal.xyz"), "--teacher", "emt"]
    assert main([*argv, "--output", str(tmp_path / "out"), *options]) == 2
    assert error in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
