from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.io import read, write
from jsonargparse import ArgumentParser

from ase_geomformer import Potential, PotentialCalculator, __version__
from ase_geomformer.architectures.base import build
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.commands import VERBS, load
from ase_geomformer.machine.places import DATA_VARIABLE
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.registry import FOLDERS_VARIABLE
from ase_geomformer.runtime.prepared import PreparedPotential
from ase_geomformer.runtime.settings import CalculatorSettings

NAME = "random-weights"
MD = ["--steps", "8", "--seed", "5", "--log_interval", "2", "--progress", "false"]


@pytest.fixture(scope="module")
def potentials(tmp_path_factory: pytest.TempPathFactory, ethanol_once: Atoms) -> Path:
    """A folder with one potential of random weights."""
    folder = tmp_path_factory.mktemp("potentials")
    settings = {
        "num_features": 16,
        "num_layers": 1,
        "num_heads": 2,
        "message_normalization": "identity",
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        potential = Potential(build("so3krates", settings), ["H", "C", "O"])
        for parameter in potential.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    potential.to(torch.float32)
    card = Card(NAME, figures={"test_force_mae_meV_per_A": 4.2})
    save_potential(potential, folder / NAME, card, [ethanol_once])
    return folder


@pytest.fixture(scope="module")
def ethanol_once() -> Atoms:
    from ase.build import molecule

    return molecule("CH3CH2OH")


@pytest.fixture(autouse=True)
def only_these_potentials(potentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(potentials))
    monkeypatch.setattr("ase_geomformer.registry._shipped_folder", lambda: potentials)


@pytest.fixture
def structure(tmp_path: Path, ethanol: Atoms) -> str:
    path = tmp_path / "ethanol.xyz"
    write(path, ethanol)
    return str(path)


@pytest.fixture
def frames(tmp_path: Path, ethanol: Atoms) -> str:
    boxed = ethanol.copy()
    boxed.center(vacuum=3.0)
    boxed.pbc = True
    boxed.rattle(0.05, rng=np.random.default_rng(0))
    path = tmp_path / "frames.xyz"
    write(path, [ethanol, boxed])
    return str(path)


@pytest.fixture
def error_of(capsys: pytest.CaptureFixture[str]) -> Callable:
    """The one line of error that a command line leads to."""

    def error(*arguments: str) -> str:
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("ase-geomformer: error: ")
        assert err.count("\n") == 1
        return err

    return error


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb, summary in VERBS.items():
        assert f"{verb} " in shown
        assert summary in shown
    assert main([]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"usage: ase-geomformer {verb}" in shown
    assert load(verb).DESCRIPTION.split()[0] in shown
    unexplained = r"(--\w+)(?: \S+)? \((?:type|default|required)\b"
    assert re.findall(unexplained, " ".join(shown.split())) == []


def options_of(verb: str) -> dict[str, argparse.Action]:
    parser = ArgumentParser(exit_on_error=False)
    load(verb).add_arguments(parser)
    return {action.dest: action for action in parser._actions}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_that_evaluate_take_every_setting_of_the_calculator(verb: str) -> None:
    others = {"models", "data", "cache", "train", "finetune", "convert", "report"}
    others |= {"learn", "label", "sample", "select", "completion", "analyze"}
    missing = {field.name for field in fields(CalculatorSettings)} - options_of(verb).keys()
    assert not missing or verb in others


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_true_or_false_takes_a_value_everywhere(verb: str) -> None:
    """Then ``--x`` and ``--no-x`` are understood, too."""
    valueless = [name for name, action in options_of(verb).items() if action.nargs == 0]
    assert {name.rpartition(".")[2] for name in valueless} == {"help"}


def test_help_of_md_explains_settings_with_units(capsys: pytest.CaptureFixture[str]) -> None:
    main(["md", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--temperature_K TEMPERATURE_K Temperature of the thermostat" in shown
    assert "--timestep_fs" in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ase-geomformer {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["md", "--help"]])
def test_help_needs_no_tensors(arguments: list[str], run_python: Callable) -> None:
    code = (
        "import sys\n"
        "from ase_geomformer.cli import main\n"
        f"assert main({arguments!r}) == 0\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    run_python("-c", code)


@pytest.mark.parametrize(
    ("call", "given", "found"),
    [
        ("main()", None, "passive"),
        ("main()", "active", "active"),
        ("main(['--version'])", None, None),
    ],
)
def test_waiting_threads_sleep_in_our_own_process_only(
    call: str, given: str | None, found: str | None, run_python: Callable
) -> None:
    environment = {name: value for name, value in os.environ.items() if "OMP" not in name}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    code = (
        "import os; from ase_geomformer.cli import main\n"
        f"{call}; print(os.environ.get('OMP_WAIT_POLICY'))"
    )
    done = run_python("-c", code, "--version", env=environment)
    assert done.stdout.splitlines()[-1] == str(found)


def test_singlepoint_of_a_molecule(
    structure: str, ethanol: Atoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    arguments = ["--potential", NAME, "--structure", structure, "--dtype", "float64"]
    assert main(["singlepoint", *arguments, "--json", "--output", str(output)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((output / "result.json").read_text())
    written = read(structure)
    written.calc = PotentialCalculator(NAME, dtype="float64")
    assert result["energy_eV"] == pytest.approx(written.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(result["forces_eV_per_A"], written.get_forces(), atol=1e-9)
    np.testing.assert_allclose(result["energies_eV"], written.get_potential_energies(), atol=1e-9)
    assert np.abs(result["forces_eV_per_A"]).max() > 1e-3
    assert result["stress_eV_per_A3"] is None
    assert "volume" in result["note"]
    assert result["provenance"]["dtype"] == "float64"
    assert result["provenance"]["potential"]["name"] == NAME
    assert len(result["provenance"]["potential"]["sha256"]) == 64


def test_singlepoint_of_several_frames(
    frames: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["singlepoint", "--potential", NAME, "--structure", frames, "--dtype", "float64"]
    assert main([*arguments, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["frames"]
    assert first["stress_eV_per_A3"] is None
    boxed = read(frames, index=1)
    boxed.calc = PotentialCalculator(NAME, dtype="float64")
    np.testing.assert_allclose(second["stress_eV_per_A3"], boxed.get_stress(), atol=1e-10)
    assert second["energy_eV"] == pytest.approx(boxed.get_potential_energy(), abs=1e-9)
    assert main([*arguments, "--json", "--index", "1"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["energy_eV"] == pytest.approx(second["energy_eV"], abs=1e-9)
    assert "note" not in alone


def test_singlepoint_prepares_once(frames: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Structures with and without a volume are evaluated with the same potential."""
    made: list[PreparedPotential] = []
    prepare = PreparedPotential.__init__

    def counted(self: PreparedPotential, *arguments: Any) -> None:
        made.append(self)
        prepare(self, *arguments)

    monkeypatch.setattr(PreparedPotential, "__init__", counted)
    assert main(["singlepoint", "--potential", NAME, "--structure", frames, "--json"]) == 0
    assert len(made) == 1


def test_singlepoint_prints_a_table(frames: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["singlepoint", "--potential", NAME, "--structure", frames]) == 0
    shown = capsys.readouterr().out
    assert shown.count("C2H6O") == 2
    assert "energy (eV)" in shown


def test_flags_yaml_and_python_run_the_same(structure: str, tmp_path: Path) -> None:
    base = ["--potential", NAME, "--structure", structure]
    assert main(["md", *base, *MD, "--output", str(tmp_path / "flags")]) == 0
    config = tmp_path / "md.yaml"
    content = {
        "potential": NAME, "structure": structure, "output": str(tmp_path / "yaml"),
        "steps": 8, "seed": 5, "log_interval": 2, "progress": False,
    }  # fmt: skip
    config.write_text(yaml.safe_dump(content))
    assert main(["md", "--config", str(config)]) == 0
    settings = MDSettings(steps=8, seed=5, log_interval=2)
    run_md(read(structure), NAME, settings, output=tmp_path / "python", progress=False)

    def log_of(name: str) -> list[str]:
        rows = (tmp_path / name / "log.csv").read_text().splitlines()
        return [row.rsplit(",", 2)[0] for row in rows]  # without steps/s and list rebuilds

    assert log_of("flags") == log_of("yaml") == log_of("python")
    assert len(log_of("flags")) == 1 + 5
    assert main(["md", "--config", str(tmp_path / "flags" / "settings.yaml"), "--output",
                 str(tmp_path / "again"), "--progress", "false"]) == 0  # fmt: skip
    assert log_of("again") == log_of("flags")


def test_the_same_command_with_resume_goes_on(structure: str, tmp_path: Path) -> None:
    command = ["md", "--potential", NAME, "--structure", structure, *MD]
    assert main([*command, "--output", str(tmp_path / "whole")]) == 0
    halves = [*command, "--output", str(tmp_path / "halves"), "--resume"]
    assert main([*halves, "--steps", "3"]) == 0
    assert main(halves) == 0
    frames = [read(tmp_path / name / "trajectory.traj") for name in ("whole", "halves")]
    np.testing.assert_array_equal(frames[0].positions, frames[1].positions)
    finals = [(tmp_path / name / "final.extxyz").read_text() for name in ("whole", "halves")]
    assert finals[0] == finals[1]
    assert "resume" not in (tmp_path / "halves" / "settings.yaml").read_text()


def test_a_run_is_resumed_with_the_calculator_that_results_depend_on(
    structure: str, tmp_path: Path, error_of: Callable
) -> None:
    output = tmp_path / "out"
    command = ["md", "--potential", NAME, "--structure", structure, *MD, "--output", str(output)]
    assert main([*command, "--steps", "2"]) == 0
    stored = yaml.safe_load((output / "settings.yaml").read_text())
    assert stored["skin"] == 0.5
    resumed = [*command, "--resume"]
    message = error_of(*resumed, "--dtype", "float64")
    assert "cannot resume: dtype was 'auto' in the run in" in message
    assert "Only compile, device, domain, keep_memory, neighbors, skin may change" in message
    # Folders of earlier versions lack settings, which then had their defaults.
    del stored["ewald"], stored["skin"]
    (output / "settings.yaml").write_text(yaml.safe_dump(stored))
    assert "cannot resume: ewald was False" in error_of(*resumed, "--ewald")
    assert main([*resumed, "--skin", "0.2", "--neighbors", "torch", "--no-keep_memory"]) == 0
    assert yaml.safe_load((output / "settings.yaml").read_text())["skin"] == 0.2
    (output / "settings.yaml").write_text("[1, 2]")
    assert "does not hold the settings of a run" in error_of(*resumed)


def test_flags_go_before_the_file(structure: str, tmp_path: Path) -> None:
    config = tmp_path / "md.yaml"
    config.write_text(yaml.safe_dump({"steps": 8, "temperature_K": 500.0, "log_interval": 2}))
    arguments = ["--potential", NAME, "--structure", structure, "--progress", "false"]
    output = str(tmp_path / "out")
    assert (
        main(["md", "--config", str(config), *arguments, "--steps", "4", "--output", output]) == 0
    )
    recorded = yaml.safe_load((tmp_path / "out" / "settings.yaml").read_text())
    assert (recorded["steps"], recorded["temperature_K"]) == (4, 500.0)


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"--potential": "random-weihgts"}, "Did you mean 'random-weights'?"),
        ({"--structure": "nowhere.xyz"}, "no structure file or folder 'nowhere.xyz'"),
        ({"--index": "7"}, "cannot read index '7' of"),
        ({"--index": "5:"}, "no structures with index '5:'"),
        ({"--skin": "-1"}, "skin = -1.0 must be zero or positive"),
        ({"--neighbors": "magic"}, "backend 'magic' is unknown"),
        ({"--long_range_cutoff": "9"}, "long_range_cutoff=9.0 has nothing to act on"),
        ({"--ewald": "true"}, "ewald=True has nothing to act on"),
        ({"--overwrite": "perhaps"}, "unrecognized arguments: perhaps"),
        (
            {"--long_range_cutoff": "far"},
            "--long_range_cutoff: expected float, 'auto' or null. Got",
        ),
        ({"--device": "abacus"}, "device 'abacus' is not available"),
        ({"--dtype": "float8"}, "float8"),
        ({"--steps": "-3"}, "steps = -3 must be from 1 to"),
        ({"--steps": "few"}, "--steps: expected int. Got value: few"),
        ({"--ensemble": "nvt"}, "--ensemble: expected one of 'nve', 'nvt-langevin'"),
        ({"--ensemble": "npt-mtk"}, "periodic in three directions"),
        ({"--temperature": "3"}, "--temperature"),
        ({"--config": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_bad_input_gives_one_line(
    changes: dict[str, str], fragment: str, structure: str, tmp_path: Path, error_of: Callable
) -> None:
    options = {
        "--potential": NAME, "--structure": structure, "--output": str(tmp_path / "out"),
        "--steps": "4", **changes,
    }  # fmt: skip
    arguments = [word for pair in options.items() for word in pair]
    assert fragment in error_of("md", *arguments)
    assert not (tmp_path / "out").exists()


def test_files_without_structures_are_named(tmp_path: Path, error_of: Callable) -> None:
    for name, content in (("empty.xyz", ""), ("text.xyz", "hello\n"), ("noise.bin", "\x00\x01")):
        (tmp_path / name).write_text(content)
        arguments = ("--potential", NAME, "--structure", str(tmp_path / name))
        assert name in error_of("singlepoint", *arguments)


def test_an_unknown_element_is_named(silicon: Atoms, tmp_path: Path, error_of: Callable) -> None:
    write(tmp_path / "silicon.xyz", silicon)
    arguments = ("--potential", NAME, "--structure", str(tmp_path / "silicon.xyz"))
    message = error_of("singlepoint", *arguments)
    assert "does not know Si" in message
    assert "H, C, O" in message


def test_unknown_verbs_and_missing_options(error_of: Callable) -> None:
    assert "did you mean models? The verbs are" in error_of("model")
    assert "no verb 'zzz'. The verbs are" in error_of("zzz")
    assert "required: structure, output" in error_of("md")


def test_md_of_several_frames_is_refused(frames: str, tmp_path: Path, error_of: Callable) -> None:
    arguments = ("--potential", NAME, "--structure", frames, "--output", str(tmp_path / "out"))
    assert "there are 2 with index ':'" in error_of("md", *arguments, "--index", ":")


def test_a_folder_with_results_is_refused_first(
    structure: str, tmp_path: Path, error_of: Callable
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_text("{}")
    common = ["--structure", structure, "--output", str(tmp_path / "out")]
    assert "is not empty" in error_of("md", "--potential", "unknown", *common)
    assert "is not empty" in error_of("singlepoint", "--potential", "unknown", *common)
    assert main(["md", "--potential", NAME, *common, *MD, "--overwrite"]) == 0


def test_debug_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["singlepoint", "--debug", "--potential", NAME, "--structure", "nowhere"]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("ase-geomformer: error: ")


def test_a_stopped_run_has_an_exit_code_of_its_own(
    structure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calculate = PotentialCalculator.calculate

    def break_down(self: Any, *arguments: Any) -> None:
        calculate(self, *arguments)
        if self.atoms.get_momenta().any() and "forces" in self.results:
            self.results["forces"] = self.results["forces"] * np.nan

    monkeypatch.setattr(PotentialCalculator, "calculate", break_down)
    arguments = ["--potential", NAME, "--structure", structure, "--output", str(tmp_path / "out")]
    assert main(["md", *arguments, *MD]) == 1
    assert "not finite" in json.loads((tmp_path / "out" / "result.json").read_text())["reason"]


def test_models_are_listed(capsys: pytest.CaptureFixture[str], potentials: Path) -> None:
    for arguments in ([], ["list"]):
        assert main(["models", *arguments]) == 0
        assert NAME in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)[NAME]
    assert entry["path"] == str(potentials / NAME)
    assert entry["architecture"] == "so3krates"
    assert entry["elements"] == ["H", "C", "O"]
    assert entry["figures"] == {"test_force_mae_meV_per_A": 4.2}


def test_a_model_is_shown(capsys: pytest.CaptureFixture[str], error_of: Callable) -> None:
    assert main(["models", "show", NAME]) == 0
    assert "so3krates" in capsys.readouterr().out
    assert main(["models", "show", NAME, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["cutoff_A"] == 5.0
    assert shown["number_of_golden_vectors"] == 1
    assert "takes one NAME" in error_of("models", "show")
    assert "takes no names" in error_of("models", "list", NAME)


def test_models_are_verified(
    potentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))  # what the user has got stays out
    assert main(["models", "verify"]) == 0
    assert "pass" in capsys.readouterr().out
    assert main(["models", "verify", NAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[NAME]["passed"] is True
    shutil.copytree(potentials / NAME, tmp_path / "altered")
    card = json.loads((tmp_path / "altered" / "card.json").read_text())
    card["golden"][0]["energy"] += 1e-3
    (tmp_path / "altered" / "card.json").write_text(json.dumps(card))
    shutil.copytree(potentials / NAME, tmp_path / "truncated")
    weights = tmp_path / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert main(["models", "verify", str(tmp_path / "altered"), "--json"]) == 1
    (entry,) = json.loads(capsys.readouterr().out).values()
    assert entry["energy_eV_per_atom"] == pytest.approx(1e-3 / 9, rel=1e-3)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    assert main(["models", "verify", "--json"]) == 1
    passed = {name: e["passed"] for name, e in json.loads(capsys.readouterr().out).items()}
    assert passed == {NAME: True, "altered": False, "truncated": False}


def test_a_damaged_model_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{")
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    assert main(["models", "list", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert "not valid JSON" in entries["broken"]["error"]
    assert entries[NAME]["num_parameters"] > 0
    assert main(["models"]) == 0
    assert "damaged" in capsys.readouterr().out


def test_the_installed_command(structure: str, potentials: Path, tmp_path: Path) -> None:
    command = shutil.which("ase-geomformer", path=str(Path(sys.executable).parent))
    assert command is not None, "ase-geomformer is not installed beside this Python"
    done = subprocess.run(
        [command, "md", "--potential", NAME, "--structure", structure, "--output", "run", *MD],
        cwd=tmp_path,
        env={**os.environ, FOLDERS_VARIABLE: str(potentials)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    settings = MDSettings(steps=8, seed=5, log_interval=2)
    result = run_md(read(structure), NAME, replace(settings), progress=False)
    np.testing.assert_array_equal(
        read(tmp_path / "run" / "trajectory.traj").positions,
        read(structure).positions,
    )
    log = np.genfromtxt(tmp_path / "run" / "log.csv", delimiter=",", names=True)
    np.testing.assert_allclose(log["total_energy_eV"], result.log["total_energy_eV"], atol=1e-4)
