"""Survival and scale: killed runs resume to the bit, two processes do what one does."""

from __future__ import annotations

import csv
import functools
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.training import run as run_module
from ase_geomformer.training.module import TrainingModule
from ase_geomformer.training.progress import Progress, shown
from ase_geomformer.training.run import TrainingInterrupted, train
from ase_geomformer.training.schedule import LearningRateFactor, warm_average
from ase_geomformer.training.settings import OptimizerSettings, TrainSettings
from ase_geomformer.training.settings_file import to_yaml
from ase_geomformer.training.trainer import LAST_CHECKPOINT

# A command line that sends itself a signal at the start of a step.
KILLED = """
import os, sys
from ase_geomformer.cli import main
from ase_geomformer.training.module import TrainingModule

def strike(self, batch, batch_idx):
    if self.global_step == int(os.environ["STRIKE_AT"]):
        os.kill(os.getpid(), int(os.environ["STRIKE_WITH"]))

TrainingModule.on_train_batch_start = strike
sys.exit(main())
"""

WEIGHTS = Path("potential") / "model.safetensors"
STEPS = 24
CASES: dict[str, dict[str, Any]] = {
    "plain": {"steps": STEPS},
    "adamw": {"steps": STEPS, "optimizer": {"kind": "adamw", "amsgrad": True}},
    # Both learn from validations, which come at the very steps of some checkpoints.
    "plateau": {
        "steps": STEPS,
        "validate_every": 2,
        "patience": 50,
        "optimizer": {"schedule": "plateau", "plateau_patience": 0, "warmup_steps": 0},
    },
    # Epochs of different numbers of batches.
    "edges": {"steps": STEPS, "batches": {"size": 100, "measure": "edges"}},
}


def weights(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "logs" / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module", autouse=True)
def only_weights() -> Iterator[None]:
    """Of what a training leaves behind, write the weights alone: the rest takes longer."""

    def finish(settings: Any, folder: Path, potential: Any, parts: Any) -> None:
        save_potential(potential, folder / "potential", Card("test"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "finish", finish)
        yield


def strike_at(
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    error: BaseException | signal.Signals,
    hook: str = "on_train_batch_start",
) -> None:
    """Break a training of this process off at a step: by a signal, or by an error."""

    def strike(self: TrainingModule, *_: Any) -> None:
        if self.global_step == step:
            if isinstance(error, signal.Signals):
                os.kill(os.getpid(), error)
            else:
                raise error

    monkeypatch.setattr(TrainingModule, hook, strike)


@pytest.fixture(scope="module")
def uninterrupted(
    settings: Callable[..., TrainSettings], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The folder of a case's training that nothing broke off."""

    @functools.cache
    def run(case: str) -> Path:
        folder = tmp_path_factory.mktemp("whole") / case
        train(settings(**CASES[case]), folder)
        return folder

    return run


@pytest.mark.parametrize(
    ("case", "step"), [("plain", 7), ("adamw", 12), ("plateau", 12), ("edges", 13)]
)
def test_told_to_stop_and_resumed(
    case: str,
    step: int,
    settings: Callable[..., TrainSettings],
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = settings(**CASES[case])
    with monkeypatch.context() as patch:
        strike_at(patch, step, signal.SIGTERM)
        with pytest.raises(TrainingInterrupted, match=rf"stopped at step {step + 1} by a signal"):
            train(wanted, tmp_path)
    assert not (tmp_path / "potential").exists()
    train(wanted, tmp_path, resume=True)
    assert weights(tmp_path) == weights(uninterrupted(case))
    assert rows(tmp_path) == rows(uninterrupted(case))


@pytest.mark.parametrize(
    ("case", "step", "hook"),
    [
        ("plain", 8, "on_train_batch_start"),
        ("plain", 15, "on_train_batch_start"),  # the end of an epoch
        ("edges", 10, "on_train_batch_start"),
        ("plateau", 6, "on_train_batch_start"),  # just after a validation
        ("plateau", 6, "on_validation_start"),
    ],
)
def test_dead_and_resumed_from_a_periodic_checkpoint(
    case: str,
    step: int,
    hook: str,
    settings: Callable[..., TrainSettings],
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checkpoints come at every step; what happens after the last of them is lost."""
    wanted = settings(**CASES[case], checkpoint_minutes=1e-9)
    with monkeypatch.context() as patch:
        strike_at(patch, step, RuntimeError("the lights went out"), hook)
        with pytest.raises(RuntimeError, match="the lights went out"):
            train(wanted, tmp_path)
    train(wanted, tmp_path, resume=True)
    assert weights(tmp_path) == weights(uninterrupted(case))
    assert rows(tmp_path) == rows(uninterrupted(case))


@pytest.mark.parametrize("case", ["plain", "plateau"])
def test_dead_after_its_last_step(
    case: str,
    settings: Callable[..., TrainSettings],
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With all steps done and only the rest to finish, the averaged weights are those shipped."""

    def fail(*_: Any) -> None:
        raise RuntimeError("the lights went out")

    wanted = settings(**CASES[case], checkpoint_minutes=1e-9)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "finish", fail)
        with pytest.raises(RuntimeError, match="the lights went out"):
            train(wanted, tmp_path)
    result = train(wanted, tmp_path, resume=True)
    assert result.steps == STEPS
    assert weights(tmp_path) == weights(uninterrupted(case))
    assert rows(tmp_path) == rows(uninterrupted(case))


def test_interrupted_twice_and_by_the_keyboard(
    settings: Callable[..., TrainSettings],
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for step, kind in ((5, signal.SIGINT), (13, signal.SIGTERM)):
        with monkeypatch.context() as patch:
            strike_at(patch, step, kind)
            with pytest.raises(TrainingInterrupted, match="resume with: ase-geomformer train"):
                train(settings(), tmp_path, resume=step > 5)
    train(settings(), tmp_path, resume=True)
    assert weights(tmp_path) == weights(uninterrupted("plain"))


def test_other_settings_are_no_resumption(
    settings: Callable[..., TrainSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        strike_at(patch, 5, signal.SIGTERM)
        with pytest.raises(TrainingInterrupted):
            train(settings(), tmp_path)
    other = settings(optimizer={"learning_rate": 1e-4})
    with pytest.raises(ValueError, match=r"optimizer.learning_rate was 0.005 .* and is 0.0001"):
        train(other, tmp_path, resume=True)
    assert train(settings(checkpoint_minutes=9.0), tmp_path, resume=True).steps == STEPS


# The command line in processes of its own


@pytest.fixture
def command(tmp_path: Path, settings: Callable[..., TrainSettings]) -> Callable[..., Any]:
    """Run ``train`` in a new process, and as a script, as several processes need it."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    config = tmp_path / "train.yaml"

    def run(
        output: Path, *options: str, kind: int = 0, step: int = -1, **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        config.write_text(to_yaml(settings(**changes)))
        environment = {
            **os.environ,
            "STRIKE_AT": str(step),
            "STRIKE_WITH": str(int(kind)),
            "OMP_NUM_THREADS": "1",  # as in this process: sums depend on the number of threads
        }
        return subprocess.run(
            [sys.executable, str(script), "train", str(config), "--output", str(output), *options],
            capture_output=True, text=True, check=False, timeout=200, env=environment,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_are_killed(
    kind: signal.Signals,
    command: Callable[..., Any],
    settings: Callable[..., TrainSettings],
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    changes = {"checkpoint_minutes": 1e-9 if kind == signal.SIGKILL else 5.0}
    folder = tmp_path / "run"
    done = command(folder, kind=kind, step=8, **changes)
    assert (folder / LAST_CHECKPOINT).is_file()
    assert not (folder / "potential").exists()
    if kind == signal.SIGTERM:
        assert done.returncode == 1, done.stderr
        hint = f"ase-geomformer train {folder / 'settings.yaml'} --output {folder} --resume"
        assert done.stderr == f"stopped at step 9 by a signal; resume with: {hint}\n"
    else:
        assert done.returncode == -signal.SIGKILL
    train(settings(**changes), folder, resume=True)
    assert weights(folder) == weights(uninterrupted("plain"))


def test_two_processes_do_what_one_does(
    command: Callable[..., Any], settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    """On the same global batches, within rounding."""
    wanted = {"dtype": "float64", "steps": 12}
    train(settings(**wanted), tmp_path / "one")
    done = command(tmp_path / "two", "--run.devices", "2", **wanted)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-6, atol=1e-8)
    assert len(rows(tmp_path / "two")) == len(rows(tmp_path / "one"))


# Learning rates and averages


def test_warm_up_and_decays() -> None:
    def factors(**changes: Any) -> list[float]:
        settings = OptimizerSettings(
            **{"learning_rate": 1.0, "final_learning_rate": 0.01, "warmup_steps": 10, **changes}
        )
        factor = LearningRateFactor(settings, 1000)
        return [factor(step) for step in (0, 4, 500, 1000, 2000)]

    assert factors(schedule="constant") == pytest.approx([0.1, 0.5, 1, 1, 1])
    assert factors(schedule="exponential")[2:] == pytest.approx([0.1, 0.01, 0.01])
    cosine = factors(schedule="cosine", warmup_steps=0)
    assert cosine[0] == 1.0
    assert cosine[2:] == pytest.approx([0.505, 0.01, 0.01])


def test_plateau_waits_and_has_a_floor() -> None:
    settings = OptimizerSettings(
        schedule="plateau", learning_rate=1.0, final_learning_rate=0.2, warmup_steps=0,
        plateau_factor=2.0, plateau_patience=1,
    )  # fmt: skip
    factor = LearningRateFactor(settings, 100)
    found = []
    for loss in (3.0, 2.0, 2.0, 2.0, 1.9, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        factor.validated(loss)
        found.append(factor(0))
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]


def test_average_of_few_steps_forgets_the_start() -> None:
    average = warm_average(0.99)
    mean, one = torch.zeros(()), torch.ones(())
    for count in range(2000):
        average([mean], [one], torch.tensor(count))
        if count == 20:
            assert mean > 0.99  # with a plain average of this decay, 0.19
    longest = torch.zeros(())
    average([longest], [one], torch.tensor(10**6))
    assert longest.item() == pytest.approx(0.01)


# Progress


def test_figures_that_are_not_there_are_left_out() -> None:
    metrics = {"train_loss": torch.tensor(0.5), "val_mae_forces_meV_per_A": torch.tensor(12.345)}
    assert shown(metrics) == ["loss 0.5", "F 12.3 meV/Å"]


@pytest.mark.parametrize("terminal", [False, True])
def test_progress(
    terminal: bool,
    settings: Callable[..., TrainSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    monkeypatch.setattr("ase_geomformer.training.progress.REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(
        "ase_geomformer.training.trainer.Progress", lambda steps: Progress(steps, console)
    )
    monkeypatch.setattr(run_module, "Console", lambda **_: Console(file=io.StringIO()))
    train(settings(progress=True), tmp_path)
    if terminal:
        assert "24/24" in text.getvalue()
        assert "meV/atom" in text.getvalue()
    else:
        lines = text.getvalue().splitlines()
        assert [line.split()[0] for line in lines] == ["6/24", "12/24", "18/24", "24/24"]
        for unit in ("loss", "meV/atom", "meV/Å", "lr", "steps/s", "left"):
            assert all(unit in line for line in lines)


def test_progress_of_a_training_that_the_time_ends(
    settings: Callable[..., TrainSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.StringIO()
    console = Console(file=text, width=120)
    monkeypatch.setattr(
        "ase_geomformer.training.trainer.Progress", lambda steps: Progress(steps, console)
    )
    monkeypatch.setattr(run_module, "Console", lambda **_: Console(file=io.StringIO()))
    result = train(settings(progress=True, steps=10**6, minutes=0.02), tmp_path)
    lines = text.getvalue().splitlines()
    assert lines
    for line in lines:
        steps, total = map(int, line.split()[0].split("/"))
        assert steps <= total < 100 * result.steps
        assert line.endswith(("0:00:00 left", "0:00:01 left", "0:00:02 left"))
