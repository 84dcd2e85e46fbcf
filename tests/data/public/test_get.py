from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ase_geomformer.cli import main
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.public.converters import CONVERTERS, XY_XZ_YZ, XY_YZ_ZX, _stress
from ase_geomformer.data.public.get import get_files
from ase_geomformer.data.public.places import FOLDERS_VARIABLE, find_data_file
from ase_geomformer.data.public.rows import DATA_SETS
from tests.data.public.origins import as_published, kbar, read, row

FILES = (
    "rmd17/rmd17_ethanol.npz",
    "mlearn/Si_train.xyz.xz",
    "mlearn/Li_test.xyz.xz",
    "mlearn/Cu_train.xyz.xz",
    "botnet_acac/train_300K.xyz.xz",
    "mgo_pbe/mgo_pbe.npz",
    "monbtaw/test.xyz.xz",
    "silica_zeolites/test_unseen_topologies.xyz.xz",
)
SPLIT_1 = {
    f"{name}_key": f"{letter}_train"
    for name, letter in (("positions", "R"), ("energy", "E"), ("forces", "F"))
}


def assert_equal(found: Sequence[Frame], expected: Sequence[Frame]) -> None:
    """Equal to what the files round to: 8 decimals or float32."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.atoms.get_chemical_symbols() == other.atoms.get_chemical_symbols()
        assert one.atoms.pbc.tolist() == other.atoms.pbc.tolist()
        assert one.energy == pytest.approx(other.energy, abs=1e-6)
        np.testing.assert_allclose(one.atoms.positions, other.atoms.positions, atol=2e-6)
        np.testing.assert_allclose(one.forces, other.forces, rtol=1e-6, atol=1e-6)
        assert (one.stress is None) == (other.stress is None)
        if one.stress is not None and other.stress is not None:
            np.testing.assert_allclose(one.stress, other.stress, atol=2e-7)


@pytest.mark.parametrize("name", FILES)
def test_what_is_fetched_are_the_frames_that_the_potentials_were_trained_on(
    shared: Path, tmp_path: Path, own_folder: Path, served: Callable[[Path], str], name: str
) -> None:
    as_published(shared, name, tmp_path / "origin")
    keys = SPLIT_1 if name.startswith("rmd17") else {}
    expected = read(shared / "data" / name, **keys)
    if keys:  # those of split 1
        expected = expected[: len(expected) // 2]
    assert get_files(name, own_folder, served(tmp_path / "origin")) == {own_folder / name: True}
    assert_equal(read(name, **keys), expected)  # by its name
    assert get_files(name, own_folder, "nowhere") == {own_folder / name: False}


def test_numbers_of_an_origin_that_were_read_by_eye(shared: Path) -> None:
    # The first frame of mlearn's copper as it is published.
    frame = read(shared / "data/mlearn/Cu_train.xyz.xz")[0]
    published = [29.86901706, 37.10766405, 42.39669996, 2.29014655, 1.95241419, -2.92780313]
    np.testing.assert_allclose(_stress(published, XY_XZ_YZ), frame.stress, atol=1e-8)
    assert frame.energy / 107 == pytest.approx(-3.984110546448598, abs=1e-9)
    np.testing.assert_allclose(
        frame.atoms.positions[0] / 10.863788, [0.986847, 0.002677, 0.344891], atol=1e-8
    )
    # The first strained cell of maml's molybdenum.
    frame = next(
        frame
        for frame in read(shared / "data/monbtaw/train.xyz.xz")
        if frame.energy == -21.61425397
    )
    published = [-6.38486878, 21.94918266, 20.52822085, -91.96685283, 0.0, 0.0]
    np.testing.assert_allclose(_stress(published, XY_YZ_ZX), frame.stress, atol=1e-8)
    # And frame 380 of MgO.
    archive = np.load(shared / "data/mgo_pbe/mgo_pbe.npz")
    index = archive["source_id"].tolist().index(380)
    assert archive["energy"][index] == -349.07383852
    assert archive["is_test"][index]
    assert kbar(read(shared / "data/mgo_pbe/mgo_pbe.npz")[index], "xz_yz") == pytest.approx(
        [216.97593783, 189.19936449, 221.50158447, -6.62981009, -34.81391991, 47.43351536], rel=1e-6
    )


@pytest.mark.parametrize("name", ["rmd17/rmd17_uracil.npz", "mlearn/Si_test.xyz.xz"])
def test_altered_data_are_refused_and_leave_nothing(
    shared: Path, tmp_path: Path, own_folder: Path, name: str
) -> None:
    as_published(shared, name, tmp_path)
    path = tmp_path / row(name).sources[0]
    if path.suffix == ".json":
        entries = json.loads(path.read_text())
        entries[3]["outputs"]["forces"][5][1] += 0.01
        path.write_text(json.dumps(entries))
    else:
        arrays = dict(np.load(path))
        arrays["coords"][7, 2, 1] += 1e-5
        np.savez(path, **arrays)
    with pytest.raises(ValueError, match="differs from what was published|altered"):
        get_files(name, own_folder, str(tmp_path))
    assert not list(own_folder.rglob("*.*"))


def test_stresses_in_another_order_are_noticed(
    shared: Path, tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_published(shared, "mlearn/Cu_train.xyz.xz", tmp_path)
    path = tmp_path / row("mlearn/Cu_train.xyz.xz").sources[0]
    entries = json.loads(path.read_text())
    for entry in entries:
        s = entry["stresses"]
        s[4], s[5] = s[5], s[4]
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="differs from what was published"):
        get_files("mlearn/Cu_train.xyz.xz", own_folder, str(tmp_path))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path) -> Path:
    """A data set of one small file, so that no reference data are needed."""
    content = (root / "examples/structures/ethanol_frames.extxyz").read_bytes()
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin" / "frames.xyz").write_bytes(content)
    file = replace(
        DATA_SETS["botnet_acac"].files[0], name="frames.xyz.xz", sources=("frames.xyz",),
        sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip
    monkeypatch.setitem(
        DATA_SETS, "small", replace(DATA_SETS["botnet_acac"], name="small", files=(file,))
    )
    return tmp_path / "origin"


def test_the_verb(
    small: Path, own_folder: Path, served: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    address = served(small)
    assert main(["data", "get", "small", "--from", address]) == 0
    said = capsys.readouterr()
    assert said.out == f"small/frames.xyz.xz: now in {own_folder / 'small'}\n"
    assert said.err == "Fetching small/frames.xyz.xz\n"
    assert main(["data", "get", "small"]) == 0
    assert "already" in capsys.readouterr().out
    assert main(["data", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["small"]["on_this_machine"] == [str(own_folder / "small" / "frames.xyz.xz")]
    assert listed["rmd17"]["on_this_machine"] == []
    assert main(["data"]) == 0
    assert "CC0-1.0" in capsys.readouterr().out
    assert len(read("small/frames.xyz.xz")) == 20


def test_errors_name_the_remedy(
    small: Path,
    own_folder: Path,
    served: Callable[[Path], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def error_of(*arguments: str) -> str:
        assert main(["data", *arguments]) == 2
        return capsys.readouterr().err

    assert "takes the NAMEs" in error_of("get")
    assert "known are rmd17" in error_of("get", "rmd71")
    assert "has no file 'x', but rmd17_aspirin.npz" in error_of("get", "rmd17/x")
    assert "are for data get" in error_of("list", "rmd17")
    address = served(tmp_path / "origin")
    (small / "frames.xyz").rename(small / "gone")
    assert "could not be fetched: File not found" in error_of("get", "small", "--from", address)
    assert "--from" in error_of("get", "small", "--from", str(small))
    assert "could not be fetched" in error_of("get", "small", "--from", "http://127.0.0.1:1")
    (small / "frames.xyz").write_bytes((small / "gone").read_bytes()[:-9])
    assert "altered or is incomplete" in error_of("get", "small", "--from", address)
    assert not list(own_folder.rglob("*.*"))


def test_files_are_found_by_name_where_they_are(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="ase-geomformer data get small/frames.xyz.xz"):
        find_data_file("small/frames.xyz.xz")
    with pytest.raises(FileNotFoundError, match="has no 'other.xyz'"):
        find_data_file("small/other.xyz")
    with pytest.raises(FileNotFoundError, match="no data file unknown/frames.xyz"):
        find_data_file("unknown/frames.xyz")
    held = tmp_path / "held" / "small" / "frames.xyz.xz"
    held.parent.mkdir(parents=True)
    held.write_bytes(lzma.compress(b""))
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "held"))
    assert find_data_file("small/frames.xyz.xz") == held
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "frames.xyz.xz").touch()  # a path comes first
    assert find_data_file("small/frames.xyz.xz") == Path("small/frames.xyz.xz")


def test_what_is_not_in_the_origins_form_is_refused(tmp_path: Path, own_folder: Path) -> None:
    for name in ("mlearn/Si_test.xyz.xz", "rmd17/rmd17_ethanol.npz"):
        for path in row(name).sources:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text('[{"element": 3}]')
        with pytest.raises(ValueError, match=f"{name}: "):
            get_files(name, own_folder, str(tmp_path))


def test_rows_are_whole() -> None:
    for name, data_set in DATA_SETS.items():
        assert data_set.name == name
        for file in data_set.files:
            assert file.converter in CONVERTERS
            assert file.base.startswith("https://")
            pinned = file.base.rpartition("/")[2]
            assert re.fullmatch("[0-9a-f]{40}", pinned)  # a commit
            assert file.sources
