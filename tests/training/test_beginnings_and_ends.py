"""What a training refuses before it begins, and how its time ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.training.initial import check_labelled
from ase_geomformer.training.run import train
from ase_geomformer.training.schedule import LearningRateFactor
from ase_geomformer.training.settings import ModelSettings, OptimizerSettings, TrainSettings


def test_frames_without_labels_are_refused_by_name() -> None:
    labelled = Frame(molecule("H2O"), energy=1.0, source="a.xyz", index=0)
    bare = [Frame(molecule("H2O"), source="b.xyz", index=index) for index in range(7)]
    check_labelled([labelled], ["energy", "forces"])
    with pytest.raises(ValueError, match=r"7 of 8 training frames .*b.xyz, frame 4; and so on"):
        check_labelled([labelled, *bare], ["energy", "forces"])
    with pytest.raises(ValueError, match="ase-geomformer label"):
        check_labelled([labelled], ["forces"])


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ({"settings": {"num_features": 64, "degrees": [1, 2, 3]}}, "num_features"),
        ({"settings": {"num_feature": 64}}, "num_feature"),
        ({"architecture": "so3krate"}, "so3krate"),
        ({"terms": {"zlb": {}}}, "zlb"),
    ],
)
def test_hyperparameters_are_checked_before_data_are_read(
    tmp_path: Path, model: dict[str, Any], error: str
) -> None:
    settings = TrainSettings(
        name="x", data=DataSettings("no_such_file.xyz"), model=ModelSettings(**model)
    )
    with pytest.raises(ValueError, match=error):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_warm_up_is_at_most_a_tenth_of_the_time() -> None:
    optimizer = OptimizerSettings(schedule="constant", warmup_steps=500)
    factor = LearningRateFactor(optimizer, 10**6)
    factor.time_used = 0.05
    assert factor(9) == pytest.approx(0.5)


def test_the_warm_up_is_at_most_a_tenth_of_the_steps() -> None:
    optimizer = OptimizerSettings(schedule="constant", warmup_steps=500)
    short = LearningRateFactor(optimizer, 200)
    assert [short(step) for step in (0, 9, 19, 199)] == pytest.approx([0.05, 0.5, 1.0, 1.0])
    assert LearningRateFactor(optimizer, 10**4)(249) == pytest.approx(0.5)


def test_the_learning_rate_falls_with_the_time() -> None:
    factor = LearningRateFactor(OptimizerSettings(warmup_steps=0), 10**6)
    factor.time_used = 0.5
    assert factor(100) == pytest.approx(0.5, abs=1e-3)
    factor.time_used = 1.0
    assert factor(200) == pytest.approx(1e-3)
    # Steps count where they are the scarcer.
    factor.time_used = 0.0
    assert factor(10**6) == pytest.approx(1e-3)


def test_time_ends_a_training(settings: Callable[..., TrainSettings], tmp_path: Path) -> None:
    result = train(settings(steps=10**6, minutes=0.02), tmp_path / "run")
    assert 0 < result.steps < 10**6
    assert result.reason == f"the 0.02 minutes were over after {result.steps} steps"
    assert (tmp_path / "run" / "potential" / "card.json").exists()
    again = train(settings(steps=10**6, minutes=0.04), tmp_path / "run2")
    assert again.steps > 0


def test_unlabelled_frames_do_not_train(tmp_path: Path) -> None:
    frames = []
    for index in range(10):
        atoms = molecule("H2O")
        atoms.positions *= 1.0 + 0.01 * index
        if index != 3:
            atoms.info["REF_energy"] = float(index)
            atoms.arrays["REF_forces"] = np.zeros((3, 3))
        frames.append(atoms)
    write(tmp_path / "frames.xyz", frames, format="extxyz")
    settings = TrainSettings(name="x", data=DataSettings(str(tmp_path / "frames.xyz")))
    with pytest.raises(ValueError, match=r"1 of \d+ training frames .*frames.xyz, frame 3"):
        train(settings, tmp_path / "run")
