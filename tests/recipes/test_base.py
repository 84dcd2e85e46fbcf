from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer import PotentialCalculator, recipes
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import elastic, eos, relax, vibrations
from ase_geomformer.recipes.base import Run, recipe_evaluator
from ase_geomformer.runs.result import RecipeResult
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged

pytestmark = pytest.mark.quick


@dataclass(frozen=True)
class Settings:
    kind: Literal["a", "b"] = "a"
    length_A: float = ranged(1.0, 0, 10, "Å", above=True)
    steps: int = ranged(5, 0, 10)
    limit: int | None = ranged(None, 0, 10)

    def __post_init__(self) -> None:
        check_settings(self)


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


def run(output: Path | None, settings: Settings | None = None, **keywords: Any) -> Run:
    return Run(EMT(), settings or Settings(), output=output, **keywords)


def test_a_run_leaves_settings_result_and_where_it_came_from(tmp_path: Path) -> None:
    made = run(tmp_path / "run", inputs={"potential": "x"}, progress=False)
    assert not (tmp_path / "run").exists()
    made.start(())
    result = RecipeResult(**made.outcome(True, "done"))
    assert made.finish(result, "a title") is result
    written = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert written == {"potential": "x", "kind": "a", "length_A": 1.0, "steps": 5, "limit": None}
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert content["converged"] is True
    assert content["provenance"]["potential"]["calculator"] == "EMT"
    with pytest.raises(FileExistsError, match="not empty"):
        run(tmp_path / "run")


def test_a_run_resumes_with_the_settings_it_had(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    files = {"files": ("data.npz", "figure.png"), "kept": ("data.npz",)}
    assert not run(folder, resume=True).start(**files).resumed
    (folder / "data.npz").touch()
    (folder / "figure.png").touch()
    assert run(folder, Settings(steps=9), resume=True).start(**files, free=("steps",)).resumed
    assert sorted(file.name for file in folder.glob("[!.]*")) == ["data.npz", "settings.yaml"]
    with pytest.raises(ValueError, match=r"length_A was 1.0 .* is 2.0 now"):
        run(folder, Settings(length_A=2.0), resume=True).start(**files)
    run(folder, overwrite=True).start(**files)
    assert sorted(file.name for file in folder.glob("[!.]*")) == ["settings.yaml"]


@pytest.mark.parametrize("recipe", [eos, elastic, vibrations])
def test_a_recipe_that_cannot_resume_says_so(recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this recipe cannot resume a run"):
        recipe(bulk("Cu"), EMT(), output=tmp_path, resume=True)
    assert not list(tmp_path.iterdir())


def test_a_misspelt_keyword_is_refused_before_any_work() -> None:
    with pytest.raises(TypeError, match="outptu"):
        relax(bulk("Cu"), EMT(), outptu="run")  # type: ignore[call-arg]


def test_what_is_wrong_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    made = run(None)
    made.start(())
    made.finish(RecipeResult(**made.outcome(False, "no minimum [here]")), "a title")
    shown = capsys.readouterr()
    assert "a title" in shown.out
    assert shown.err == "not converged: no minimum [here]\n"
