from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.db import connect
from ase.io import read, write

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import RelaxManySettings, RelaxSettings, relax, relax_many
from ase_geomformer.recipes.relaxation.figure import plot_many

SETTINGS = RelaxManySettings(fmax=0.02, steps=40, in_flight=3)


@pytest.fixture
def molecules() -> list[Atoms]:
    found = []
    for seed, name in enumerate(("CH3CH2OH", "H2O", "CH4", "CO2", "C2H2")):
        atoms = molecule(name)
        atoms.rattle(0.05, seed=seed)
        found.append(atoms)
    return found


def alone(settings: RelaxManySettings) -> RelaxSettings:
    return RelaxSettings(
        **{entry.name: getattr(settings, entry.name) for entry in fields(RelaxSettings)}
    )


class Counting(BatchEvaluator):
    """An evaluator that remembers how many structures each call had."""

    def __call__(self, structures: Any, *arguments: Any, **keywords: Any) -> Any:
        structures = list(structures)
        self.sizes = [*getattr(self, "sizes", []), len(structures)]
        return super().__call__(structures, *arguments, **keywords)


@pytest.mark.parametrize("optimizer", ["auto", "fire"])
def test_many_are_relaxed_as_each_alone(
    optimizer: Any, molecules: list[Atoms], potential: Potential
) -> None:
    settings = replace(SETTINGS, optimizer=optimizer)
    evaluator = Counting(potential)
    result = relax_many(molecules, evaluator, settings, progress=False)
    assert max(evaluator.sizes) == 3
    assert sum(evaluator.sizes) == sum(found.steps + 1 for found in result.results)
    for atoms, together in zip(molecules, result.results, strict=True):
        single = relax(atoms, potential, alone(settings), progress=False)
        assert together.steps == single.steps
        assert together.converged == single.converged
        assert together.energy == pytest.approx(single.energy, abs=1e-8)
        np.testing.assert_allclose(together.atoms.positions, single.atoms.positions, atol=1e-7)
    assert result.converged == all(found.converged for found in result.results)


def test_cells_are_relaxed_too_and_with_any_calculator() -> None:
    crystals = [bulk("Cu", cubic=True, a=a) for a in (3.5, 3.6, 3.7)]
    settings = RelaxManySettings(fmax=1e-3, smax_GPa=1e-3, cell="full")
    result = relax_many(crystals, EMT(), settings, progress=False)
    assert result.converged
    for relaxed in result.structures:
        np.testing.assert_allclose(relaxed.cell.lengths(), 3.58983, atol=1e-4)
    assert len({found.steps for found in result.results}) > 1
    # Structures and steps are whole: so are the middles of the bars, and the ticks.
    steps = plot_many(result.results).axes[0]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in steps.patches]
    assert middles == pytest.approx(np.round(middles))
    assert all(tick == round(tick) for tick in (*steps.get_xticks(), *steps.get_yticks()))


def test_structures_come_from_folder_file_and_database(
    molecules: list[Atoms], tmp_path: Path
) -> None:
    settings = RelaxManySettings(steps=0)
    gas = [molecule("H2O"), molecule("CO")]
    folder = tmp_path / "structures"
    folder.mkdir()
    write(folder / "b.xyz", gas[1])
    write(folder / "a.xyz", gas)
    with connect(tmp_path / "gas.db") as database:
        for atoms in gas:
            database.write(atoms)
    found = {
        source.name: relax_many(source, EMT(), settings, progress=False)
        for source in (folder, folder / "a.xyz", tmp_path / "gas.db")
    }
    assert found["structures"].names == ["a.xyz:0", "a.xyz:1", "b.xyz"]
    for name in ("a.xyz", "gas.db"):
        formulas = [str(atoms.symbols) for atoms in found[name].structures]
        assert formulas == [str(atoms.symbols) for atoms in gas]
    with pytest.raises(FileNotFoundError, match="no structure file or folder"):
        relax_many(tmp_path / "none", EMT(), settings, progress=False)
    (folder / "c.txt").write_text("nonsense")
    with pytest.raises(ValueError, match=r"c\.txt"):
        relax_many(folder, EMT(), settings, progress=False)


def test_a_bad_structure_is_named_before_any_work(
    molecules: list[Atoms], potential: Potential, tmp_path: Path
) -> None:
    for bad, message in ((Atoms(), "no atoms"), (molecule("NH3"), "N")):
        with pytest.raises(ValueError, match=f"structure 5 .*{message}"):
            relax_many([*molecules, bad], potential, output=tmp_path / "run", progress=False)
        assert not (tmp_path / "run").exists()


KILLED = """
import sys
from ase.io import read
from ase_geomformer.recipes import relax_many, RelaxManySettings
from ase.calculators.emt import EMT
settings = RelaxManySettings(fmax=0.02, steps=40, in_flight=1)
import time
class Slow(EMT):
    def calculate(self, *arguments, **keywords):
        time.sleep(0.02)
        super().calculate(*arguments, **keywords)
relax_many(sys.argv[1], Slow(), settings, output=sys.argv[2], progress=False)
"""


def test_a_killed_run_keeps_what_is_finished(tmp_path: Path) -> None:
    structures = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        structures.append(atoms)
    write(tmp_path / "copper.traj", structures)
    run = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "copper.traj"), str(run)]
    process = subprocess.Popen(command)
    finished = run / "finished.jsonl"
    try:
        while process.poll() is None and not (
            finished.exists() and finished.read_bytes().count(b"\n") >= 2
        ):
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = finished.read_bytes().count(b"\n")
    assert 2 <= kept < 12
    with finished.open("ab") as file:  # as if it had been killed within a line
        file.write(b'{"index": 11, "conv')
    settings = RelaxManySettings(fmax=0.02, steps=40, in_flight=1)
    calculator = EMT()
    asked: list[Atoms] = []
    evaluate = calculator.calculate

    def counted(atoms: Any = None, *arguments: Any, **keywords: Any) -> None:
        asked.append(atoms)
        evaluate(atoms, *arguments, **keywords)

    calculator.calculate = counted  # type: ignore[method-assign]
    source = tmp_path / "copper.traj"
    resumed = relax_many(source, calculator, settings, output=run, resume=True, progress=False)
    whole = relax_many(source, EMT(), settings, progress=False)
    assert len(asked) == sum(found.steps + 1 for found in whole.results[kept:])
    for ours, theirs in zip(resumed.results, whole.results, strict=True):
        assert ours.steps == theirs.steps
        assert ours.energy == pytest.approx(theirs.energy, abs=1e-9)
        np.testing.assert_allclose(ours.atoms.positions, theirs.atoms.positions, atol=1e-8)
        np.testing.assert_allclose(ours.history["fmax_eV_per_A"], theirs.history["fmax_eV_per_A"])
    assert len(read(run / "relaxed.extxyz", index=":")) == 12
    content = json.loads((run / "result.json").read_text())
    assert content["number_of_structures"] == 12
    assert content["number_converged"] == 12
    with pytest.raises(ValueError, match="differs from the one given now"):
        relax_many(structures[::-1], EMT(), settings, output=run, resume=True, progress=False)


def test_command(potential: Potential, tmp_path: Path, capsys: Any) -> None:
    save_potential(potential, tmp_path / "p", Card("random"), [molecule("CH4")])
    write(tmp_path / "gas.xyz", [molecule("CH4"), molecule("H2O")])
    words = ["--potential", str(tmp_path / "p"), "--structure", str(tmp_path / "gas.xyz")]
    output = tmp_path / "run"
    assert main(["relax-many", *words, "--output", str(output), "--steps", "1"]) == 1
    assert "0 of 2 structures converged" in capsys.readouterr().err
    names = {"settings.yaml", "result.json", "relax_many.png", "finished.jsonl", "relaxed.extxyz"}
    assert set(os.listdir(output)) == names | {"evaluation.json"}


def test_damaged_structures_are_named_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Copper with two atoms on top of each other stays there in no steps."""
    sound, broken = bulk("Cu", cubic=True), bulk("Cu", cubic=True)
    broken.positions[1] = broken.positions[0] + [0.3, 0.0, 0.0]
    settings = RelaxManySettings(fmax=1e9, steps=0)
    result = relax_many([sound, broken], EMT(), settings)
    named = [row for row in result.rows() if row[0] == "structure 1 (Cu4)"]
    assert len(named) == 1
    assert named[0][1].startswith("collapsed: atoms 0 and 1 are 0.30 Å apart")
    shown = capsys.readouterr().out
    assert "structure 1 (Cu4)" in shown
    assert "structure 0" not in shown
