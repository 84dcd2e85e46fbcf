"""Code is compiled once, found by later processes, and never used where it might be wrong."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import build, identity
from ase_geomformer.acceleration.stored_artifacts import (
    FILE,
    artifact_key,
    find_artifact,
    worth_compiling,
)
from ase_geomformer.machine.cache import Cache
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.potential import Potential

CARRIERS = {"deepcopy": copy.deepcopy, "pickle": lambda it: pickle.loads(pickle.dumps(it))}


def calculator(potential: Potential, **settings: Any) -> PotentialCalculator:
    return PotentialCalculator(potential, device="cpu", **settings)


def test_it_is_compiled_at_the_first_evaluation_and_never_again(
    small: Potential, ethanol: Atoms, cache: Cache, builds: list, capsys: pytest.CaptureFixture
) -> None:
    first = calculator(small, compile=True)
    assert builds == []
    assert cache.entries() == []
    forces = first.get_forces(ethanol)
    assert len(builds) == 1
    told = capsys.readouterr().err
    assert "compiling so3krates for this machine" in told
    assert "compiled so3krates in" in told
    second = calculator(small, compile=True)
    np.testing.assert_array_equal(second.get_forces(ethanol), forces)
    assert len(builds) == 1
    assert capsys.readouterr().err == ""
    plain = calculator(small, compile=False).get_forces(ethanol)
    np.testing.assert_allclose(forces, plain, atol=1e-10)
    assert (forces != plain).any()
    assert [entry.about["kind"] for entry in cache.entries()] == ["compiled code"]


def test_by_default_it_is_used_where_it_is_there(
    small: Potential, ethanol: Atoms, cache: Cache, builds: list
) -> None:
    before = calculator(small)
    assert not before.prepared.is_compiled
    assert before.prepared.ready() == "plain"
    calculator(small, compile=True).prepared.ready()
    assert not before.prepared.is_compiled, "never switched on the way"
    after = calculator(small)
    assert after.prepared.ready() == f"compiled {artifact_key(small)}"
    assert not calculator(small, compile=False).prepared.is_compiled
    np.testing.assert_allclose(after.get_forces(ethanol), before.get_forces(ethanol), atol=1e-10)
    assert len(builds) == 1


def test_other_weights_dtypes_and_machines_have_code_of_their_own(
    small: Potential, cache: Cache, builds: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    calculator(small, compile=True).prepared.ready()
    assert find_artifact(small) is not None
    assert find_artifact(small.copy(dtype=torch.float32)) is None
    other = small.copy()
    with torch.no_grad():
        next(other.architecture.parameters()).mul_(1.5)
    assert find_artifact(other) is None
    monkeypatch.setattr(identity, "of_machine", lambda: ("torch 2.13.0", "another CPU"))
    assert find_artifact(small) is None


def test_damaged_code_is_not_used(small: Potential, cache: Cache, builds: list) -> None:
    calculator(small, compile=True).prepared.ready()
    (entry,) = cache.entries()
    content = bytearray((entry.folder / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (entry.folder / FILE).unlink()  # The file itself is loaded, and must not change.
    (entry.folder / FILE).write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert not calculator(small).prepared.is_compiled
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not calculator(small).prepared.is_compiled


def test_code_that_others_could_have_written_is_not_used(
    small: Potential, cache: Cache, builds: list
) -> None:
    calculator(small, compile=True).prepared.ready()
    (entry,) = cache.entries()
    (entry.folder / FILE).chmod(0o622)
    with pytest.warns(UserWarning, match="can be written to by others"):
        assert not calculator(small).prepared.is_compiled


def assert_plain_with_a_warning(potential: Potential, atoms: Atoms, match: str) -> None:
    made = calculator(potential, compile=True)
    with pytest.warns(UserWarning, match=match):
        forces = made.get_forces(atoms)
    np.testing.assert_array_equal(forces, calculator(potential, compile=False).get_forces(atoms))
    with warnings.catch_warnings():  # told once
        warnings.simplefilter("error")
        made.reset()
        made.get_forces(atoms)
    assert made.prepared.ready() == "plain"


def test_while_another_process_compiles(small: Potential, ethanol: Atoms, cache: Cache) -> None:
    with cache.locked(artifact_key(small)):
        assert_plain_with_a_warning(small, ethanol, "another process is compiling")


def test_without_a_compiler(
    small: Potential, ethanol: Atoms, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import cpp_builder, exc

    def none() -> str:
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    assert_plain_with_a_warning(small, ethanol, "no C\\+\\+ compiler was found; install g\\+\\+")


@pytest.mark.parametrize("error", [RuntimeError("lost\nin code"), OSError(28, "No space left")])
def test_when_compilation_fails(
    small: Potential,
    ethanol: Atoms,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(potential: Potential, file: Path) -> None:
        file.write_bytes(b"half")
        raise error

    monkeypatch.setattr(build, "build", fail)
    assert_plain_with_a_warning(small, ethanol, "slower: (lost$|.*No space left)")
    assert cache.entries() == []


def test_without_a_place_to_keep_it(
    small: Potential, ethanol: Atoms, cache: Cache, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert_plain_with_a_warning(small, ethanol, "cache")


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
def test_copies_find_it_again(
    carry: Callable, small: Potential, ethanol: Atoms, cache: Cache, builds: list
) -> None:
    made = calculator(small, compile=True)
    forces = made.get_forces(ethanol)
    other = carry(made)
    other.reset()
    np.testing.assert_array_equal(other.get_forces(ethanol), forces)
    assert len(builds) == 1


def run(folder: Path, atoms: Atoms, potential: Potential, steps: int, **options: Any) -> Atoms:
    settings = MDSettings(ensemble="nve", temperature_K=200, steps=steps, seed=1)
    made = calculator(potential)
    return run_md(atoms, made, settings, output=folder, progress=False, **options).atoms


def test_a_run_is_resumed_as_it_was_begun(
    small: Potential, ethanol: Atoms, cache: Cache, builds: list, tmp_path: Path
) -> None:
    whole = run(tmp_path / "whole", ethanol, small, 10)
    run(tmp_path / "parts", ethanol, small, 5)
    run(tmp_path / "lost", ethanol, small, 5)
    calculator(small, compile=True).prepared.ready()
    compiled = run(tmp_path / "compiled", ethanol, small, 5)
    parts = run(tmp_path / "parts", ethanol, small, 10, resume=True)
    np.testing.assert_array_equal(parts.positions, whole.positions)
    again = run(tmp_path / "compiled", ethanol, small, 10, resume=True)
    fresh = run(tmp_path / "fresh", ethanol, small, 10)
    np.testing.assert_array_equal(again.positions, fresh.positions)
    assert compiled.calc.prepared.is_compiled
    assert again.calc.prepared.is_compiled
    # Cleared in between, it is compiled again.
    cache.clear()
    run(tmp_path / "compiled", ethanol, small, 12, resume=True)
    assert len(builds) == 2


def test_a_run_that_cannot_be_resumed_to_the_bit_says_so(
    small: Potential, ethanol: Atoms, cache: Cache, builds: list, tmp_path: Path
) -> None:
    run(tmp_path / "run", ethanol, small, 5)
    settings = MDSettings(ensemble="nve", temperature_K=200, steps=10, seed=1)
    other = calculator(small, compile=True)
    with pytest.warns(UserWarning, match="evaluation was .plain. and is .compiled"):
        run_md(None, other, settings, output=tmp_path / "run", resume=True, progress=False)


def test_what_is_worth_compiling() -> None:
    assert not worth_compiling(1000, 9)
    assert worth_compiling(100_000, 9)
    assert worth_compiling(10_000, 512)
    assert not worth_compiling(100, 512)
