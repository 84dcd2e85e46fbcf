"""Statistics of training data on disk: what is written is read, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ase_geomformer.checkpoint.folder import Card, CheckpointError, load_folder, save_potential
from ase_geomformer.confidence.file import CONFIDENCE_FILE, read_confidence, write_confidence
from ase_geomformer.confidence.statistics import Confidence
from ase_geomformer.potential import Potential


@pytest.fixture
def confidence() -> Confidence:
    made = torch.Generator().manual_seed(0)
    return Confidence(
        sha256="0" * 64,
        data="some data",
        elements=np.array([1, 8]),
        means=torch.rand(2, 4, generator=made),
        whitening=torch.rand(2, 4, 4, generator=made),
        limits=torch.tensor([1.0, 2.0]),
        min_distances_A=torch.tensor([[1.2, 0.9], [0.9, torch.inf]]),
        root=torch.rand(4, 4, generator=made),
        energy_factor=1.5,
        forces_factor=0.5,
    )


def test_round_trip(confidence: Confidence, tmp_path: Path) -> None:
    write_confidence(tmp_path, confidence)
    found = read_confidence(tmp_path)
    assert found is not None
    for name, value in vars(confidence).items():
        assert np.array_equal(getattr(found, name), value)
    assert read_confidence(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "change",
    [
        {"limits": torch.ones(3)},
        {"means": torch.full((2, 4), torch.nan)},
        {"elements": np.array([0, 8])},
        {"energy_factor": -1.0},
        {"energy_factor": float("inf")},
    ],
    ids=str,
)
def test_damage_is_named(change: dict, confidence: Confidence, tmp_path: Path) -> None:
    write_confidence(tmp_path, replace(confidence, **change))
    with pytest.raises(ValueError, match=rf"{CONFIDENCE_FILE} is damaged"):
        read_confidence(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, json.dumps({"a": 1}).encode()])
def test_a_potential_with_a_damaged_file_is_refused(
    content: bytes, potential: Potential, tmp_path: Path
) -> None:
    save_potential(potential, tmp_path / "one", Card("one"))
    (tmp_path / "one" / CONFIDENCE_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=CONFIDENCE_FILE):
        load_folder(tmp_path / "one")


def test_statistics_of_other_weights_do_not_count(
    confidence: Confidence, potential: Potential, tmp_path: Path
) -> None:
    from ase_geomformer.runtime.domain import confidence_of, known_confidence

    card = save_potential(potential, tmp_path / "one", Card("one"))
    write_confidence(tmp_path / "one", confidence)
    assert confidence_of(load_folder(tmp_path / "one")) is None
    with pytest.raises(ValueError, match="one has no statistics of its training data"):
        known_confidence(load_folder(tmp_path / "one"))
    write_confidence(tmp_path / "one", replace(confidence, sha256=card.sha256))
    loaded = load_folder(tmp_path / "one")
    assert confidence_of(loaded) is not None
    assert confidence_of(loaded.copy(dtype=torch.float64)) is not None


def test_distances_and_grades(confidence: Confidence) -> None:
    first, second = torch.tensor([1, 1, 8]), torch.tensor([1, 8, 8])
    assert confidence.close_pair(torch.tensor([1.3, 1.0, 0.1]), first, second) is None
    assert confidence.close_pair(torch.tensor([1.1, 0.5, 0.1]), first, second) == 1
    assert confidence.close_pair(torch.zeros(0), first[:0], second[:0]) is None
    means = confidence.means
    way = torch.linalg.solve(confidence.whitening[1], torch.tensor([6.0, 0.0, 0.0, 0.0]))
    features = torch.stack([means[0], means[1], means[1] + way])
    grades = confidence.grades(features, torch.tensor([1, 8, 8]))
    torch.testing.assert_close(grades, torch.tensor([0.0, 0.0, 3.0]), atol=1e-5, rtol=1e-5)
    assert torch.isinf(confidence.grades(means[:1], torch.tensor([6]))).all()
