from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ase_geomformer import load_potential
from ase_geomformer.accuracy.evaluation import evaluate_frames
from ase_geomformer.checkpoint.folder import load_folder, verify
from ase_geomformer.cli import main
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.data.writer import write_frames
from ase_geomformer.training import run as run_module
from ase_geomformer.training.losses import LossSettings, TargetLoss
from ase_geomformer.training.module import TrainingDiverged
from ase_geomformer.training.run import TrainResult, train
from ase_geomformer.training.settings import RunSettings, TrainSettings
from ase_geomformer.training.settings_file import to_yaml

FORCES = "val_mae_forces_meV_per_A"


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return result.potential.state_dict()


def same(first: TrainResult, second: TrainResult) -> bool:
    pairs = zip(weights(first).values(), weights(second).values(), strict=True)
    return all(torch.equal(mine, other) for mine, other in pairs)


def column(folder: Path, name: str) -> list[float]:
    """A column of the log, where it is filled."""
    with (folder / "logs" / "metrics.csv").open() as stream:
        return [float(row[name]) for row in csv.DictReader(stream) if row.get(name)]


@pytest.fixture
def no_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out figures and evaluation, which take longer than such a training."""
    monkeypatch.setattr(run_module, "finish", lambda *_: None)


@pytest.fixture(scope="module")
def trained(
    settings: Callable[..., TrainSettings], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """A training that is long enough to learn."""
    folder = tmp_path_factory.mktemp("run") / "h2co"
    wanted = settings(split={"test": 20}, steps=300, validate_every=100)
    return train(wanted, folder)


def test_it_learns(
    trained: TrainResult, settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    """Forces of frames not seen to 40 % of their mean size; before, all of it was missing."""
    frames = read_frames(settings().data)
    split = json.loads((trained.folder / "split.json").read_text())
    test = [frames[index] for index in split["test"]]
    size = 1e3 * float(np.mean([np.abs(f.forces) for f in test if f.forces is not None]))

    def error(result: TrainResult) -> float:
        return evaluate_frames(result.potential, test).headlines["forces_mae_meV_per_A"]

    assert error(trained) < 0.4 * size
    assert trained.evaluation is not None
    assert trained.evaluation.headlines["forces_mae_meV_per_A"] == pytest.approx(error(trained))
    still = {"learning_rate": 1e-30, "final_learning_rate": 1e-30}
    assert error(train(settings(steps=1, optimizer=still), tmp_path / "run")) > 0.9 * size


def test_the_run_folder_is_complete(
    trained: TrainResult, settings: Callable[..., TrainSettings]
) -> None:
    folder = trained.folder
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "settings.yaml", "split.json", "result.json", "predictions.npz", "logs/metrics.csv",
        "potential/card.json", "potential/model.safetensors", "potential/train.yaml",
        "potential/learning_curve.png",
    } <= names  # fmt: skip
    assert not any(name.startswith("checkpoints") for name in names)  # five minutes are not over
    assert trained.reason == "all 300 steps were done"
    assert trained.steps == 300
    split = json.loads((folder / "split.json").read_text())
    assert [len(split[part]) for part in ("train", "validation", "test")] == [50, 20, 20]


def test_the_shipped_potential_is_the_trained_one(trained: TrainResult) -> None:
    loaded = load_potential(trained.folder / "potential")
    assert max(verify(loaded).values()) < 1e-10
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, weights(trained)[name])
    told = json.loads((trained.folder / "result.json").read_text())["provenance"]["potential"]
    assert loaded.card is not None
    assert (told["name"], told["sha256"]) == (loaded.card.name, loaded.card.sha256)


def test_averaged_weights_are_validated_and_shipped(
    trained: TrainResult, settings: Callable[..., TrainSettings]
) -> None:
    """The last validation was made with the weights that ship, the average."""
    split = json.loads((trained.folder / "split.json").read_text())
    frames = read_frames(settings().data)
    validation = [frames[index] for index in split["validation"]]
    headline = evaluate_frames(trained.potential, validation).headlines["forces_mae_meV_per_A"]
    # Training and evaluation take other operations: 1.7e-5 apart in float32.
    assert column(trained.folder, FORCES)[-1] == pytest.approx(headline, rel=1e-4)


def test_averaging_is_what_makes_the_difference(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    """With no memory the average is the present weights; with a long one it lags behind."""
    results = [
        train(settings(optimizer={"ema_decay": decay}), tmp_path / str(decay))
        for decay in (0.0, 0.999)
    ]
    assert not same(*results)
    # The weights themselves do not depend on their average.
    losses = [column(result.folder, "train_loss") for result in results]
    assert losses[0] == losses[1]


def test_settings_file_is_the_run(
    trained: TrainResult, settings: Callable[..., TrainSettings]
) -> None:
    stored = yaml.safe_load((trained.folder / "settings.yaml").read_text())
    wanted = settings(split={"test": 20}, steps=300, validate_every=100)
    assert stored == yaml.safe_load(to_yaml(wanted))


def test_seed_decides_everything_and_nothing_else_does(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = train(settings(), tmp_path / "first")
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert same(first, train(settings(), tmp_path / "again"))
    assert not same(first, train(settings(seed=1), tmp_path / "other"))


def test_the_process_is_left_as_it_was(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    import logging
    import os
    import random
    import signal
    import warnings

    def state() -> list[Any]:
        return [
            torch.get_default_dtype(),
            torch.get_rng_state().tolist(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(),
            str(np.random.get_state()),  # noqa: NPY002
            random.getstate(),
            [signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)],
            logging.root.level,
            list(logging.root.handlers),
            logging.getLogger("lightning.pytorch").level,
            list(warnings.filters),
            dict(os.environ),
            os.getcwd(),
        ]

    import lightning.pytorch  # noqa: F401  (what it does on import is its own)

    with torch.no_grad():
        before = state()
        train(settings(), tmp_path / "run")
        assert state() == before


def test_frames_without_validation(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    wanted = settings(split={"validation": 0}, validate_every=1, checkpoint_minutes=1e-6)
    assert train(wanted, tmp_path / "run").steps == 24
    assert (tmp_path / "run/checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_float64_and_stress(kind: Any, tmp_path: Path, shared: Path, no_finish: None) -> None:
    """Crystals with stress and molecules without, in one training."""
    silicon = read_frames(DataSettings(str(shared / "data/mlearn/Si_train.xyz.xz")))
    stressed = [frame for frame in silicon if frame.stress is not None]
    chosen = sorted(stressed, key=lambda frame: len(frame.atoms))[:6]
    chosen += [Frame(f.atoms.copy(), f.energy, f.forces) for f in chosen[:2]]
    for frame in chosen[-2:]:
        frame.atoms.pbc = False
        frame.atoms.set_cell(None)
    write_frames(tmp_path / "data.xyz", chosen)
    tiny = {"num_features": 16, "num_layers": 1, "num_heads": 2, "degrees": [1], "cutoff": 3.0}
    wanted = TrainSettings(
        "si",
        DataSettings(str(tmp_path / "data.xyz")),
        loss=LossSettings(stress=TargetLoss(weight=1.0)),
        run=RunSettings(
            steps=8, validate_every=4, dtype="float64", progress=False, accelerator="cpu"
        ),
    )
    wanted = replace(
        wanted,
        model=replace(wanted.model, settings=tiny),
        optimizer=replace(wanted.optimizer, kind=kind, warmup_steps=0),
        split=replace(wanted.split, validation=2),
    )
    result = train(wanted, tmp_path / "run")
    assert result.potential.dtype == torch.float64
    assert all(bool(torch.isfinite(value).all()) for value in weights(result).values())
    assert len(column(tmp_path / "run", "val_mae_stress_GPa")) == 2


def test_shorter_than_its_first_validation(
    settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    result = train(settings(steps=3, validate_every=100), tmp_path / "run")
    assert result.evaluation is not None
    assert len(column(tmp_path / "run", "train_loss")) == 1


# What stops a training


def test_early_stopping(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    """A learning rate that moves nothing: no validation is better than the first."""
    still = {"learning_rate": 1e-30, "final_learning_rate": 1e-30}
    result = train(settings(patience=2, optimizer=still, steps=60), tmp_path / "run")
    assert result.reason == "the validation loss did not improve for 2 validations"
    assert result.steps == 3 * 6


def test_plateau_lowers_the_learning_rate(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    still = {
        "schedule": "plateau", "learning_rate": 1e-30, "final_learning_rate": 3e-31,
        "plateau_patience": 1, "warmup_steps": 0,
    }  # fmt: skip
    train(settings(optimizer=still, steps=48), tmp_path / "run")
    rates = [rate / 1e-30 for rate in column(tmp_path / "run", "lr-Muon/pg1")]
    # Logged every sixth step, before the validation that follows it: two without a better loss
    # halve the rate, but not below 0.3 of the first.
    assert rates == pytest.approx([1, 1, 1, 0.5, 0.5, 0.3, 0.3, 0.3])


def test_exploding_loss_saves_its_batch(
    settings: Callable[..., TrainSettings], tmp_path: Path, h2co: Path
) -> None:
    wild = {"learning_rate": 10.0, "warmup_steps": 0, "clip_norm": 1e9, "kind": "adamw"}
    with pytest.raises(TrainingDiverged, match=r"at step \d+ and was .*lower the learning rate"):
        train(settings(optimizer=wild), tmp_path / "run")
    saved = read_frames(DataSettings(str(tmp_path / "run/bad_batch.extxyz")))
    assert len(saved) == 10
    known = {frame.energy: frame for frame in read_frames(DataSettings(str(h2co)))}
    for frame in saved:
        assert frame.energy is not None
        original = known[min(known, key=lambda energy: abs(energy - frame.energy))]
        assert original.forces is not None
        np.testing.assert_allclose(frame.forces, original.forces, atol=1e-7)
        np.testing.assert_allclose(frame.atoms.positions, original.atoms.positions, atol=1e-7)
    assert not (tmp_path / "run/potential").exists()


def test_nan_label_names_the_step(
    settings: Callable[..., TrainSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader refuses NaN; what slips in behind it stops the training at its first batch."""
    read = run_module.read_parts

    def with_nan(*arguments: Any) -> Any:
        parts, split = read(*arguments)
        bad = parts["train"][7]
        parts["train"][7] = replace(bad, forces=np.full((4, 3), np.nan))
        return parts, split

    monkeypatch.setattr(run_module, "read_parts", with_nan)
    monkeypatch.setattr(
        "ase_geomformer.training.initial.force_rms", lambda frames: 1.0, raising=True
    )
    with pytest.raises(TrainingDiverged, match=r"the loss is nan at step [0-4] and.*bad_batch"):
        train(settings(), tmp_path / "run")
    assert "nan" in (tmp_path / "run/bad_batch.extxyz").read_text().lower()


# Bad input: one clear error, and nothing written


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Path]:
    """An output folder that must not hold a run afterwards."""
    yield tmp_path / "run"
    assert not (tmp_path / "run" / "settings.yaml").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--run.steps", "0"], "steps = 0 must be from 1 to"),
        (["--run.dtype", "float16"], "run.dtype"),
        (
            ["--optimizer.ema_decay", "1.5"],
            "ema_decay = 1.5 must be zero or positive, and at most 0.999999999",
        ),
        (["--optimizer.kind", "sgd"], "sgd"),
        (["--loss.forces.weight", "-1"], "weight = -1.0 must be zero or positive"),
        (["--loss.stress.weight", "1"], "the loss includes stress, but no training frame"),
        (["--model.architecture", "nonsense"], "nonsense"),
        (["--model.freeze", "[nonsense.*]"], "no parameter matches 'nonsense.*'"),
        (["--model.freeze", "['*']"], "leaves no parameter to train"),
        (["--model.refit_references", "true"], "refit_references is only for fine-tuning"),
        (["--data.path", "missing.npz"], "missing.npz"),
        (["--batches.size", "9", "--run.devices", "2"], "9 cannot be shared equally by 2"),
        (["--split.validation", "0", "--run.patience", "3"], "need a validation set"),
        (["--run.accelerator", "gpu"], "run.accelerator 'gpu' with 1 devices"),
        (["--nonsense", "1"], "nonsense"),
    ],
)
def test_bad_settings(
    options: list[str],
    message: str,
    settings: Callable[..., TrainSettings],
    untouched: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "gpu" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    config = tmp_path / "train.yaml"
    config.write_text(to_yaml(settings()))
    assert main(["train", str(config), "--output", str(untouched), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_in_use_is_refused(
    trained: TrainResult, settings: Callable[..., TrainSettings]
) -> None:
    with pytest.raises(FileExistsError, match="not empty; give another one, resume the run in it"):
        train(settings(), trained.folder)


def test_neighbours_of_a_failed_start_are_no_run(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    with pytest.raises(ValueError, match="more than the budget"):
        train(settings(batches={"size": 3, "measure": "atoms"}), tmp_path / "run")
    assert (tmp_path / "run/neighbors").is_dir()
    assert train(settings(), tmp_path / "run").steps == 24


def test_a_folder_of_something_else_is_not_resumed(
    settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no checkpoints/last.ckpt in .* notes.txt"):
        train(settings(), tmp_path, resume=True)


def test_resume_starts_a_training_that_had_no_checkpoint_yet(
    settings: Callable[..., TrainSettings], tmp_path: Path, no_finish: None
) -> None:
    for name in ("logs", "checkpoints", "neighbors"):
        (tmp_path / name).mkdir()
    assert train(settings(), tmp_path, resume=True).steps == 24


@pytest.mark.parametrize("terms", [{"electrostatics": {}}, {"electrostatics": {}, "zbl": {}}])
def test_long_range_terms_are_trained(
    settings: Callable[..., TrainSettings], terms: dict[str, Any], tmp_path: Path
) -> None:
    """The potential that ships has them, and gives for its golden vectors what was trained."""
    model = {
        "settings": {**settings().model.settings, "charge_width": 8},
        "terms": terms,
    }
    result = train(settings(model=model), tmp_path / "run")
    shipped = load_folder(tmp_path / "run" / "potential")
    assert shipped.far_cutoff == 12.0
    assert set(shipped.terms) == set(terms)
    assert max(verify(shipped).values()) < 1e-8
    assert result.evaluation is not None
