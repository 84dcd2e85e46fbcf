"""Long runs compile first if they may, and are resumed as they were begun."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT

from ase_geomformer import PotentialCalculator
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.evaluate import BatchEvaluator, as_evaluator
from ase_geomformer.machine.cache import Cache
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.replicas import ReplicaSettings, run_replicas
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import RelaxManySettings, relax_many
from ase_geomformer.runtime import evaluation
from ase_geomformer.runtime.evaluation import as_before, compile_if_long, evaluation_of

LONG = 10**7


def calculator(potential: Potential, **settings: Any) -> PotentialCalculator:
    return PotentialCalculator(potential, device="cpu", **settings)


def compile_now(potential: Potential) -> None:
    calculator(potential, compile=True).prepared.ready()


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "worth_compiling", lambda *_: True)


KINDS: dict[str, Callable[..., Any]] = {
    "calculator": calculator,
    "batches": lambda it, **options: BatchEvaluator(it, device="cpu", max_edges=100, **options),
    "committee": lambda it, **options: CommitteeCalculator([it, it], device="cpu", **options),
    "committee in series": lambda it, **options: as_evaluator(
        CommitteeCalculator([it, it], device="cpu", **options)
    ),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_only_long_runs_compile(
    make: Callable[..., Any], small: Potential, ethanol: Atoms, cache: Cache, builds: list
) -> None:
    for unchanged in (make(small), make(small, compile=False)):
        assert compile_if_long(unchanged, [ethanol], 10) is unchanged
    chosen = make(small, compile=False)
    assert compile_if_long(chosen, [ethanol], LONG) is chosen
    plain = make(small)
    compiled = compile_if_long(plain, [ethanol], LONG)
    assert type(compiled) is type(plain)
    assert "plain" in evaluation_of(plain, ethanol)
    assert "compiled" in str(evaluation_of(compiled, ethanol))
    assert len(builds) == 1
    assert compile_if_long(compiled, [ethanol], LONG) is compiled
    before = as_before(compiled, ethanol, evaluation_of(compiled, ethanol))
    assert before is compiled
    back = as_before(make(small), ethanol, evaluation_of(plain, ethanol))
    assert evaluation_of(back, ethanol) == evaluation_of(plain, ethanol)
    if isinstance(plain, BatchEvaluator):
        assert compiled._max_edges == 100


def test_other_calculators_are_left_alone(ethanol: Atoms) -> None:
    springs = EMT()
    assert compile_if_long(springs, [ethanol], LONG) is springs
    series = as_evaluator(springs)
    assert compile_if_long(series, [ethanol], LONG) is series
    assert as_before(springs, ethanol, None) is springs


def relaxed(potential: Any, folder: Path, **options: Any) -> list[Atoms]:
    settings = RelaxManySettings(fmax=0.05, steps=5, in_flight=2)
    molecules = [molecule(name) for name in ("H2O", "CH4", "CH3OH")]
    found = relax_many(molecules, potential, settings, output=folder, progress=False, **options)
    return [one.atoms for one in found.results]


def recorded(folder: Path) -> str:
    how = json.loads((folder / "evaluation.json").read_text())["evaluation"]
    result = json.loads((folder / "result.json").read_text())
    assert result["provenance"]["potential"]["evaluation"] == how
    return how.split()[0]


def test_a_recipe_compiles_only_if_it_may(
    small: Potential, cache: Cache, builds: list, worth_it: None, tmp_path: Path
) -> None:
    relaxed(calculator(small), tmp_path / "plain")
    assert recorded(tmp_path / "plain") == "plain"
    assert not builds
    relaxed(calculator(small), tmp_path / "compiled", compile_if_long=True)
    assert recorded(tmp_path / "compiled") == "compiled"
    assert len(builds) == 1


def test_a_recipe_is_resumed_as_it_was_begun(
    small: Potential, cache: Cache, builds: list, tmp_path: Path
) -> None:
    whole = relaxed(calculator(small), tmp_path / "run")
    finished = tmp_path / "run" / "finished.jsonl"
    first, *_ = finished.read_text().splitlines(keepends=True)
    finished.write_text(first)
    compile_now(small)
    again = relaxed(calculator(small), tmp_path / "run", resume=True, compile_if_long=True)
    assert recorded(tmp_path / "run") == "plain"
    np.testing.assert_allclose(again[0].positions, whole[0].positions, rtol=0, atol=1e-10)
    fresh = relaxed(calculator(small), tmp_path / "fresh")
    assert recorded(tmp_path / "fresh") == "compiled"
    cache.clear()
    resumed = relaxed(calculator(small), tmp_path / "fresh", resume=True)
    assert len(builds) == 2, "compiled again"
    np.testing.assert_array_equal(resumed[0].positions, fresh[0].positions)
    with pytest.warns(UserWarning, match="evaluation was .compiled .* is .plain"):
        relaxed(calculator(small, compile=False), tmp_path / "fresh", resume=True)


def test_a_set_of_replicas_is_resumed_as_it_was_begun(
    small: Potential, ethanol: Atoms, cache: Cache, builds: list, tmp_path: Path
) -> None:
    def run(name: str, steps: int, **options: Any) -> np.ndarray:
        settings = MDSettings(ensemble="nve", steps=steps, seed=1, checkpoint_interval=2)
        several = ReplicaSettings(temperatures_K=[200.0, 300.0])
        folder = tmp_path / name
        options |= {"output": folder, "progress": False}
        found = run_replicas(ethanol, calculator(small), settings, several, **options)
        return np.array([one.atoms.positions for one in found.replicas])

    whole = run("whole", 4)
    run("parts", 2)
    compile_now(small)
    np.testing.assert_array_equal(run("parts", 4, resume=True), whole)
    compiled = run("compiled", 4)
    assert (compiled != whole).any()
    run("again", 2)
    cache.clear()
    np.testing.assert_array_equal(run("again", 4, resume=True), compiled)
    assert len(builds) == 2


def test_a_committee_is_resumed_as_it_was_begun(
    small: Potential, ethanol: Atoms, cache: Cache, builds: list, tmp_path: Path
) -> None:
    def run(name: str, steps: int, **options: Any) -> np.ndarray:
        committee = CommitteeCalculator([small, small], device="cpu")
        settings = MDSettings(ensemble="nve", temperature_K=200, steps=steps, seed=1)
        options |= {"output": tmp_path / name, "progress": False}
        return run_md(ethanol, committee, settings, **options).atoms.positions

    whole = run("whole", 4)
    run("parts", 2)
    compile_now(small)
    np.testing.assert_array_equal(run("parts", 4, resume=True), whole)
