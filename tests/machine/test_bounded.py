"""Files from outside cost little before they are refused."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ase_geomformer.convert.restricted_pickle import read_arrays as read_pickle
from ase_geomformer.machine.bounded import (
    DEPTH,
    parse_json,
    parse_yaml,
    read_arrays,
    read_json,
    read_yaml,
)

# More than a refusal may take, of memory in MB and of processor time in seconds.
MEMORY_MB, SECONDS = 200, 2.0


def nested_aliases(levels: int) -> str:
    """Every level holds the one before ten times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{inner}]")
    return "\n".join(lines)


def npz(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(header_shape: tuple[int, ...], content: bytes) -> bytes:
    """An array in npy format with a header of one's own choice."""
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": header_shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


def test_yaml_is_read_as_ever() -> None:
    text = "temperature_K: 300\nguards: {max_force_eV_per_A: 20.0}\nlist: &it [1, 2]\nagain: *it\n"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (nested_aliases(10), "more than 100000 values"),
        ("[" * 1000 + "]" * 1000, f"more than {DEPTH} levels"),
        ("a: &a [*a]", "holds itself"),
        ("a: [", "not valid YAML"),
    ],
)
def test_yaml_that_unfolds_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[" * 100_000, "levels deep"),
        ('{"a": ' * 100 + "1" + "}" * 100, "levels deep"),
        ("[NaN]", "NaN is not a number"),
    ],
)
def test_json_that_is_too_deep_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_json(text.encode())


def test_brackets_in_strings_are_not_levels() -> None:
    assert parse_json(b'{"a": "' + b"[" * 1000 + b'\\"["}')["a"][-2:] == '"['


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_large_files_and_pipes_are_refused_with_their_names(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(ValueError, match=r"large cannot be read .* 10 GB are more than"):
        read(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"pipe cannot be read .* not a regular file"):
        read(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        read(Path(os.devnull))


def test_arrays_are_read_to_the_bit(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5.0), "b": np.array("text"), "c": np.zeros((0, 3), dtype="f4")}
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "x.npz", **arrays)
        found = read_arrays(tmp_path / "x.npz", 1e6)
        assert found.keys() == arrays.keys()
        for name, values in arrays.items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == values.dtype


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"a": npy((10**12, 3), b"\0" * 80)}, "claims 2.4e"),
        ({"a": npy((-1,), b"")}, "shape"),
        ({"a": npy((3_000_000,), b"\0" * 24_000_000)}, "unfold to"),
        ({"a": npy((1_000,), b"\0" * 8_000), "b": npy((200_000,), os.urandom(1_600_000))}, "more"),
        ({"a": b"junk"}, "magic"),
    ],
)
def test_archives_that_burst_are_refused(
    tmp_path: Path, entries: dict[str, bytes], fault: str
) -> None:
    limit = 1e6 if fault == "more" else 1e9
    with pytest.raises(ValueError, match=fault):
        read_arrays(npz(tmp_path / "x.npz", **entries), limit)


class Repeated(dict):
    """Two entries that are the same one, forty levels deep: 2^40 paths."""

    @staticmethod
    def make() -> dict[str, Any]:
        inner: dict[str, Any] = {"x": np.zeros(2)}
        for _ in range(40):
            inner = {"a": inner, "b": inner}
        return inner


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


def program(kind: str) -> bytes:
    """Pickles that take more than they hold."""
    if kind == "far memo":
        return b"\x80\x02}r\x00\x00\x00\x10."  # LONG_BINPUT 2^28
    if kind == "far text memo":
        return b"}p268435456\n."
    if kind == "long integer":
        return b"\x80\x02\x8b\x00\x00\x10\x00" + b"\x01" * 2**20 + b"."
    if kind == "itself":
        content: dict[str, Any] = {}
        content["a"] = content
        return pickle.dumps(content)
    if kind == "deep":
        # The pickler itself recurses, so the opcodes are written by hand.
        levels = 20_000
        return b"\x80\x02" + b"}" + b"U\x01a}" * levels + b"s" * levels + b"."
    return pickle.dumps(Repeated.make())


@pytest.mark.parametrize(
    "kind", ["far memo", "far text memo", "long integer", "itself", "deep", "repeated"]
)
def test_pickles_that_unfold_are_refused_within_bounds(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "params.pkl"
    path.write_bytes(program(kind))
    with pytest.raises(ValueError, match=r"params\.pkl is refused"):
        read_pickle(path)


BOMBS: dict[str, Callable[[Path], list[str]]] = {}


def bomb(make: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
    BOMBS[make.__name__] = make
    return make


@bomb
def yaml_aliases(folder: Path) -> list[str]:
    (folder / "x.yaml").write_text(nested_aliases(10))
    return ["relax", "--config", str(folder / "x.yaml")]


@bomb
def yaml_pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "x.yaml")
    return ["md", "--config", str(folder / "x.yaml")]


@bomb
def card_of_one_string(folder: Path) -> list[str]:
    (folder / "card.json").write_text('{"name": "' + "x" * 20_000_000 + '"}')
    return ["models", "show", str(folder)]


@bomb
def card_of_brackets(folder: Path) -> list[str]:
    (folder / "card.json").write_text("[]" * 15_000_000)
    return ["models", "show", str(folder)]


@bomb
def endless_xyz(folder: Path) -> list[str]:
    (folder / "x.xyz").write_text("1000000000000000000\n\nH 0 0 0\n")
    path = str(folder / "x.xyz")
    return ["singlepoint", "--potential", "so3krates-rmd17-ethanol", "--structure", path]


MEASURED = """
import resource, sys, time
from ase_geomformer.cli import main
import ase_geomformer.calculator, jsonargparse
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
code = main(sys.argv[1:])
more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(code, time.process_time() - start, more)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_little(tmp_path: Path, name: str) -> None:
    arguments = BOMBS[name](tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, timeout=60
    )
    code, seconds, memory = map(float, done.stdout.split())
    assert code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert len(done.stderr) < 1000
    assert seconds < SECONDS
    assert memory < MEMORY_MB
