"""Names and paths of potentials, and what an unknown one is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ase_geomformer.checkpoint.folder import CARD_FILE, Card, save_potential
from ase_geomformer.machine.places import DATA_VARIABLE
from ase_geomformer.potential import Potential
from ase_geomformer.registry import (
    FOLDERS_VARIABLE,
    find_potential,
    list_potentials,
    load_potential,
    search_folders,
)

pytestmark = pytest.mark.quick


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, potential: Potential) -> Path:
    """Two listed folders and the user's own; "both" is in the first and the last of them."""
    for name in ("first/mine", "first/both", "second/other", "user/ase-geomformer/both"):
        save_potential(potential, tmp_path / name, Card(name))
    listed = os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second"), ""])
    monkeypatch.setenv(FOLDERS_VARIABLE, listed)
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    return tmp_path


def card_name(potential: Potential) -> str:
    assert potential.card is not None
    return potential.card.name


def test_names_come_from_all_places_first_match_first(places: Path) -> None:
    found = list_potentials()
    assert {"mine", "both", "other"} <= set(found)
    assert list(found) == sorted(found)
    assert found["other"] == places / "second" / "other"
    assert card_name(load_potential("both")) == "first/both"


def test_shipped_potentials_come_before_the_users_own(places: Path) -> None:
    folders = search_folders()
    assert folders[:2] == [places / "first", places / "second"]
    assert folders[2].name in ("potentials", "ase_geomformer_potentials")
    assert folders[3:] == [places / "user" / "ase-geomformer"]


def test_home_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert search_folders()[-1] == tmp_path / ".local" / "share" / "ase-geomformer"


@pytest.mark.parametrize("form", [str, Path, lambda path: path / CARD_FILE])
def test_paths(form: Callable, places: Path) -> None:
    assert card_name(load_potential(form(places / "second" / "other"))) == "second/other"


def test_home_is_expanded(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(places))
    assert find_potential("~/second/other") == places / "second" / "other"


def test_folders_without_a_card_are_no_potentials(places: Path) -> None:
    (places / "first" / "notes").mkdir()
    assert "notes" not in list_potentials()


def test_unknown_names_are_told_what_exists(places: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_potential("othr")
    message = str(caught.value)
    assert "no potential 'othr'" in message
    assert "Did you mean 'other'?" in message
    for name in ("mine", "both", "other", FOLDERS_VARIABLE):
        assert name in message


def test_device_and_dtype(places: Path) -> None:
    loaded = load_potential("mine", device="cpu", dtype=torch.float32)
    assert loaded.dtype == torch.float32
    assert loaded.device == torch.device("cpu")
    assert load_potential("mine").dtype == torch.float64
    assert load_potential("mine", dtype="float32").dtype == torch.float32
    with pytest.raises(ValueError, match="device 'gpu' is not available .* from auto, cpu"):
        load_potential("mine", device="gpu")
    with pytest.raises(ValueError, match="dtype must be one of float32, float64"):
        load_potential("mine", dtype="float16")


def test_what_a_killed_process_left_is_recovered_or_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_geomformer.machine.files._UNDER_WAY_S", 0.0)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    shipped = list_potentials()["so3krates-rmd17-ethanol"]
    for left in (".mine-abc12345-old", ".other-abc12345"):  # between two moves; before both
        (tmp_path / left).mkdir()
        for name in ("card.json", "model.safetensors"):
            (tmp_path / left / name).write_bytes((shipped / name).read_bytes())
    found = list_potentials()
    assert found["mine"] == tmp_path / "mine"
    assert not [name for name in found if name.startswith(".")]
    load_potential("mine")
