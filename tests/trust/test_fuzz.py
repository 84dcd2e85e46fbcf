"""Whatever a potential's folder holds, loading gives a potential or a CheckpointError."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ase_geomformer.checkpoint.folder import (
    CARD_FILE,
    WEIGHTS_FILE,
    Card,
    CheckpointError,
    load_folder,
    save_potential,
)
from ase_geomformer.potential import Potential

FEW = settings(
    max_examples=25,
    # The folder is put back after each example, and a busy machine is no fault of theirs.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def folder(tmp_path: Path, potential: Potential, ethanol: Atoms) -> Path:
    save_potential(potential, tmp_path / "saved", Card("fuzzed"), [ethanol])
    return tmp_path / "saved"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within a value."""
    yield path
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from places(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def loads_or_refuses(folder: Path) -> None:
    refused = ""
    try:
        load_folder(folder)
    except CheckpointError as error:
        refused = str(error)
    assert not refused or str(folder) in refused


@FEW
@given(data=st.data())
def test_any_value_in_the_card(data: st.DataObject, folder: Path) -> None:
    card = folder / CARD_FILE
    original = card.read_text()
    content = json.loads(original)
    place = data.draw(st.sampled_from(list(places(content))))
    card.write_text(json.dumps(replaced(content, place, data.draw(PLAIN))))
    loads_or_refuses(folder)
    card.write_text(original)


@FEW
@given(data=st.data(), file=st.sampled_from([CARD_FILE, WEIGHTS_FILE]))
def test_any_bytes_in_a_file(data: st.DataObject, file: str, folder: Path) -> None:
    path = folder / file
    original = path.read_bytes()
    begin = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(begin, min(len(original), begin + 64)))
    path.write_bytes(original[:begin] + data.draw(st.binary(max_size=64)) + original[end:])
    loads_or_refuses(folder)
    path.write_bytes(original)


@FEW
@given(data=st.data())
def test_signed_weights_with_another_header(data: st.DataObject, folder: Path) -> None:
    """As above, with a checksum that fits, so that the parser of the weights is reached."""
    path, card = folder / WEIGHTS_FILE, folder / CARD_FILE
    original, written = path.read_bytes(), card.read_text()
    length = int.from_bytes(original[:8], "little")
    begin = data.draw(st.integers(0, 8 + length))
    added = data.draw(st.binary(max_size=16))
    changed = original[:begin] + added + original[begin + data.draw(st.integers(0, 16)) :]
    path.write_bytes(changed)
    signed = {**json.loads(written), "sha256": hashlib.sha256(changed).hexdigest()}
    card.write_text(json.dumps(signed))
    loads_or_refuses(folder)
    path.write_bytes(original)
    card.write_text(written)
