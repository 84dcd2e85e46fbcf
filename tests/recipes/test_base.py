from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
import yaml
from ase.calculators.emt import EMT

from ase_geomformer import PotentialCalculator, recipes
from ase_geomformer.potential import Potential
from ase_geomformer.recipes.base import recipe_evaluator
from ase_geomformer.runs.folder import open_folder
from ase_geomformer.runs.result import RecipeResult
from ase_geomformer.settings.checks import check_settings


@dataclass(frozen=True)
class Settings:
    kind: Literal["a", "b"] = "a"
    length_A: float = 1.0
    steps: int = 5
    limit: int | None = None

    def __post_init__(self) -> None:
        check_settings(self, positive=("length_A",), not_negative=("steps", "limit"))


def test_public_names_stay_functions_when_every_module_is_imported() -> None:
    modules = {entry.name for entry in pkgutil.iter_modules(recipes.__path__)}
    assert modules.isdisjoint(recipes.__all__)
    for name in recipes.__all__:
        value = getattr(recipes, name)
        assert value.__name__ == name
        assert value.__module__.startswith("ase_geomformer.")
    assert importlib.import_module("ase_geomformer.runs.result").RecipeResult is RecipeResult


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("length_A", "1.0", "a finite number"),
        ("steps", None, "a finite number"),
        ("kind", "c", "one of a, b"),
        ("length_A", 0.0, "positive"),
        ("length_A", float("nan"), "finite"),
        ("steps", 2.5, "whole"),
        ("steps", -1, "zero or positive"),
        ("limit", -1, "zero or positive"),
    ],
)
def test_bad_settings_are_named(name: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"{name} = .* must be .*{wanted}"):
        Settings(**{name: value})


def test_recipes_evaluate_in_float64_unless_a_calculator_says_otherwise(
    potential: Potential,
) -> None:
    single = potential.copy(dtype=torch.float32)
    assert recipe_evaluator(single).calculator.parameters["dtype"] == "float64"
    chosen = PotentialCalculator(single)
    assert recipe_evaluator(chosen).calculator.parameters["dtype"] == "float32"
    other = EMT()
    assert recipe_evaluator(other).calculator is other


def test_a_folder_holds_settings_and_result(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "run", Settings(), inputs={"potential": "x"})
    result = RecipeResult(converged=True, reason="done", wall_time=1.0, output=folder.path)
    folder.write_result(result, EMT(), energy_eV=float("nan"))
    written = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert written["potential"] == "x"
    assert written["length_A"] == 1.0
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert content["converged"] is True
    assert content["energy_eV"] is None
    assert content["provenance"]["potential"]["calculator"] == "EMT"
    with pytest.raises(FileExistsError, match="not empty"):
        open_folder(tmp_path / "run", Settings())


def test_a_run_resumes_with_the_settings_it_had(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert not open_folder(run, Settings(), resume=True).resumed
    (run / "data.npz").touch()
    (run / "figure.png").touch()
    files = {"files": ("data.npz", "figure.png"), "kept": ("data.npz",)}
    resumed = open_folder(run, Settings(steps=9), resume=True, free=("steps",), **files)
    assert resumed.resumed
    assert sorted(file.name for file in run.iterdir()) == ["data.npz", "settings.yaml"]
    with pytest.raises(ValueError, match=r"length_A = 1.0, not 2.0"):
        open_folder(run, Settings(length_A=2.0), resume=True)
    open_folder(run, Settings(), overwrite=True, **files)
    assert sorted(file.name for file in run.iterdir()) == ["settings.yaml"]


def test_what_cannot_be_resumed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="not empty"):
        open_folder(tmp_path, Settings(), resume=True)
    with pytest.raises(ValueError, match="needs the output folder"):
        open_folder(None, Settings(), resume=True)
    with pytest.raises(ValueError, match="give one of them"):
        open_folder(tmp_path, Settings(), resume=True, overwrite=True)
