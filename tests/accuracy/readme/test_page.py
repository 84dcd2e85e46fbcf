from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from ase_geomformer.accuracy.evaluation import Evaluation, evaluate_frames
from ase_geomformer.accuracy.readme.checks import CardCheck, read_checks
from ase_geomformer.accuracy.readme.naming import heading, readable
from ase_geomformer.accuracy.readme.page import add_checks, write_evaluations, write_readme
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint.folder import (
    Card,
    CheckpointError,
    DataSource,
    read_card,
    save_potential,
)
from ase_geomformer.data.frames import Frame
from ase_geomformer.potential import Potential

CARD = Card(
    name="toy",
    description="Small molecules at room temperature.",
    licence="MIT",
    citations=["Someone, J. Toys 1, 2 (2020) (toys)"],
    data=[
        DataSource("play | ground", "CC0-1.0", "Someone, J. Toys 1, 2 (2020)", "PBE/def2-SVP", 950),
        DataSource("sandpit", "BSD-3-Clause", "Else, J. Sand 3 (2021)", "r2SCAN", 7),
    ],
    figures={
        "energy_mae_meV": 16.0,
        "test_forces_mae_meV_per_A": 41.0,
        "rotation_error_meV_per_A": 0.25,
    },
)


@pytest.fixture
def folder(potential: Potential, tmp_path: Path) -> Path:
    save_potential(potential, tmp_path / "toy", CARD, [molecule("H2O")])
    return tmp_path / "toy"


@pytest.fixture
def evaluation(potential: Potential) -> Evaluation:
    """Energies off by 9 and 6 meV, forces by 1 meV/Å on every component."""
    calculator = PotentialCalculator(potential, device="cpu")
    frames = []
    for index, (name, shift) in enumerate({"CH3CH2OH": 0.009, "H2O": 0.006}.items()):
        atoms = molecule(name)
        energy = calculator.get_potential_energy(atoms) - shift
        forces = calculator.get_forces(atoms) - 1e-3
        frames.append(
            Frame(atoms, energy, forces, source="/home/me/secret/test.xyz", index=40 + index)
        )
    return evaluate_frames(potential, frames, device="cpu")


def section(readme: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", readme, flags=re.M | re.S)
    assert found, f"no section {title!r}"
    return found.group(1)


def rows(text: str) -> list[list[str]]:
    """Cells of the Markdown tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_readme_says_what_the_card_says(folder: Path, potential: Potential) -> None:
    readme = write_readme(folder).read_text(encoding="utf-8")
    assert readme.startswith("# toy\n\nSmall molecules at room temperature.\n")
    facts = {cells[0]: cells[1] for cells in rows(readme) if len(cells) == 2}
    parameters = sum(parameter.numel() for parameter in potential.parameters())
    weights = (folder / "model.safetensors").stat().st_size / 1e6
    assert facts["elements"] == "H C O Si"
    assert facts["level of theory"] == "PBE/def2-SVP, r2SCAN"
    assert facts["cutoff"] == f"{potential.cutoff:g} Å"
    assert facts["parameters"] == f"{parameters:,} (float64, {weights:.2g} MB)"
    assert facts["licence of the weights"] == "MIT"
    data = rows(section(readme, "Training data"))
    assert data[2] == [
        "play \\| ground", "950", "PBE/def2-SVP", "CC0-1.0", "Someone, J. Toys 1, 2 (2020)",
    ]  # fmt: skip
    # A citation that the card already has is not repeated for the data.
    assert section(readme, "Cite").strip().splitlines()[:2] == [
        "- Someone, J. Toys 1, 2 (2020) (toys)",
        "- Else, J. Sand 3 (2021)",
    ]


def test_limits_follow_from_the_potential(
    make_potential: Callable[..., Potential], folder: Path
) -> None:
    limits = section(write_readme(folder).read_text(encoding="utf-8"), "What it is not for")
    assert "Other elements than H, C, O, Si" in limits
    assert "Charge and spin" not in limits
    save_potential(make_potential("Si", charge_embedding=False), folder, CARD)
    limits = section(write_readme(folder).read_text(encoding="utf-8"), "What it is not for")
    assert "Other elements than Si:" in limits
    assert "Charge and spin" in limits


def test_errors_come_from_the_evaluation(folder: Path, evaluation: Evaluation) -> None:
    write_evaluations(folder, {"test": evaluation})
    readme = write_readme(folder).read_text(encoding="utf-8")
    errors = section(readme, "Errors")
    head, _, values, *_ = rows(errors)
    found = dict(zip(head, values, strict=True))
    assert found["data set"] == "test"
    assert found["frames"] == "2"
    assert found["energy MAE (meV)"] == "7.5"
    assert found["energy MAE (meV/atom)"] == "1.5"
    assert found["forces MAE (meV/Å)"] == found["forces RMSE (meV/Å)"] == "1"
    assert found["forces max error (meV/Å)"] == f"{np.sqrt(3.0):.3g}"
    assert not [name for name in head if "stress" in name]
    assert [cells[0] for cells in rows(errors)[-3:]] == ["H", "C", "O"]
    assert "largest error of energy 2 meV/atom, in H2O, frame 41 of `test.xyz`" in errors
    for picture in ("parity.png", "errors_by_element.png"):
        assert f"]({picture})" in section(readme, "Pictures")
        assert (folder / picture).stat().st_size > 1000
    everything = readme + (folder / "evaluation.json").read_text(encoding="utf-8")
    assert "secret" not in everything


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/home/me/secret/a.xyz", "/home/me/secret/b.xyz"], ["a.xyz", "b.xyz"]),
        (["/secret/a/test.xyz", "/secret/b/test.xyz"], ["a/test.xyz", "b/test.xyz"]),
    ],
)
def test_errors_by_file_where_there_are_several(
    paths: list[str], names: list[str], folder: Path, evaluation: Evaluation
) -> None:
    frames = [
        replace(frame, source=path) for frame, path in zip(evaluation.frames, paths, strict=True)
    ]
    write_evaluations(folder, {"test": replace(evaluation, frames=tuple(frames))})
    readme = write_readme(folder).read_text(encoding="utf-8")
    found = {cells[0]: cells for cells in rows(section(readme, "Errors"))}
    head, *parts = (found[name] for name in ("test, by file", *(f"`{name}`" for name in names)))
    energy = head.index("energy MAE (meV)")
    assert [cells[energy] for cells in parts] == ["9", "6"]
    content = (folder / "evaluation.json").read_text(encoding="utf-8")
    assert "secret" not in readme + content
    worst = json.loads(content)["test"]["worst_frames"].values()
    assert {frame["source"] for frames in worst for frame in frames} == set(names)


def test_figures_of_the_card_are_not_given_twice(folder: Path, evaluation: Evaluation) -> None:
    write_evaluations(folder, {"test": evaluation})
    further = section(write_readme(folder).read_text(encoding="utf-8"), "Further figures of merit")
    assert rows(further)[2:] == [["rotation error", "meV/Å", "0.25"]]


def test_physical_checks_are_told_of_the_weights_they_were_made_with(folder: Path) -> None:
    sha256 = read_card(folder).sha256
    crystal = CardCheck(
        sha256, "Crystal", "At rest.", "Stable.", {"C11_GPa": 151.23, "zener_anisotropy": 1.5},
        {"C11_GPa": 153.2}, "PBE", "curve.png",
    )  # fmt: skip
    (folder / "curve.png").touch()
    add_checks(folder, {"crystal": crystal, "other": CardCheck("0" * 64, "Other weights", "Old.")})
    readme = add_checks(folder, {"speed": CardCheck(sha256, "Speed", "Idle.")}).read_text("utf-8")
    physical = section(readme, "Physical checks")
    assert re.findall(r"^### (.*)$", physical, flags=re.M) == ["Crystal", "Speed"]
    assert rows(physical)[-4:] == [
        ["what", "unit", "potential", "PBE"],
        ["---", "---", "---", "---"],
        ["C11", "GPa", "151.2", "153.2"],
        ["zener anisotropy", "", "1.5", ""],
    ]
    assert "](curve.png)" in physical
    assert readme.count("curve.png") == 1
    assert set(read_checks(folder)) == {"crystal", "other", "speed"}


def test_short_training_is_told_under_reproduce(folder: Path) -> None:
    short = CardCheck(
        read_card(folder).sha256, "In short", "Minutes.", "", {"forces_mae_meV_per_A": 40}
    )
    readme = add_checks(folder, {"short_training": short}).read_text("utf-8")
    assert rows(section(readme, "Reproduce"))[2:] == [["forces MAE", "meV/Å", "40"]]
    assert "Physical checks" not in readme


def test_several_data_sets_have_rows_and_pictures_each(
    folder: Path, evaluation: Evaluation
) -> None:
    write_evaluations(folder, {"ethanol": evaluation, "water": evaluation})
    content = json.loads((folder / "evaluation.json").read_text())
    assert list(content) == ["ethanol", "water"]
    assert content["water"]["energy_mae_meV"] == pytest.approx(7.5)
    (folder / "dimer_curves.png").write_bytes((folder / "parity_water.png").read_bytes())
    readme = write_readme(folder).read_text(encoding="utf-8")
    assert re.findall(r"\]\((\w+\.png)\)", readme) == [
        "parity_ethanol.png",
        "parity_water.png",
        "errors_by_element_ethanol.png",
        "errors_by_element_water.png",
        "dimer_curves.png",
    ]
    assert "![dimer curves]" in readme


def test_script_of_the_readme_runs(
    folder: Path,
    potential: Potential,
    ethanol: Atoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use = section(write_readme(folder).read_text(encoding="utf-8"), "Use")
    script = re.search(r"```python\n(.*?)```", use, flags=re.S).group(1)
    write(tmp_path / "structure.xyz", ethanol)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASE_GEOMFORMER_POTENTIALS", str(tmp_path))
    exec(script, {})
    energy = float(capsys.readouterr().out.split()[0])
    ethanol.calc = PotentialCalculator(potential, device="cpu")
    assert energy == pytest.approx(ethanol.get_potential_energy(), abs=1e-5)


def test_training_is_described_only_where_its_settings_are(folder: Path) -> None:
    assert "ase-geomformer train" not in write_readme(folder).read_text(encoding="utf-8")
    (folder / "train.yaml").write_text("name: toy\n")
    reproduce = section(write_readme(folder).read_text(encoding="utf-8"), "Reproduce")
    assert "ase-geomformer train potentials/toy/train.yaml --output runs/toy\n" in reproduce
    assert "data get" not in reproduce
    (folder / "train.yaml").write_text("data: {path: [mine.xyz, mlearn/Si_train.xyz.xz]}\n")
    reproduce = section(write_readme(folder).read_text(encoding="utf-8"), "Reproduce")
    assert "ase-geomformer data get mlearn/Si_train.xyz.xz\nase-geomformer train" in reproduce


def test_a_folder_without_a_card_is_refused(folder: Path) -> None:
    shutil.move(folder / "card.json", folder / "other.json")
    with pytest.raises(CheckpointError, match="card.json"):
        write_readme(folder)
    assert not (folder / "README.md").exists()


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("forces_mae_meV_per_A", "forces MAE", "meV/Å"),
        ("energy_rmse_meV_per_atom", "energy RMSE", "meV/atom"),
        ("stress_max_error_eV_per_A3", "stress max error", "eV/Å³"),
        ("energy_mae_meV", "energy MAE", "meV"),
        ("linear_expansion_per_K", "linear expansion", "1/K"),
        ("mean_temperature_K", "mean temperature", "K"),
        ("forces_mean_cosine", "forces mean cosine", ""),
    ],
)
def test_names_are_read_with_their_units(name: str, words: str, unit: str) -> None:
    assert readable(name) == (words, unit)
    assert heading(name) == (f"{words} ({unit})" if unit else words)
