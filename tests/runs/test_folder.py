from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import atomic_file, atomic_folder
from ase_geomformer.potential import Potential
from ase_geomformer.runs.folder import RunFolder, check_folder, start_folder, write_result
from ase_geomformer.runs.plain import plain, to_json
from ase_geomformer.runs.provenance import PACKAGES, provenance

pytestmark = pytest.mark.quick


@dataclass
class Pair:
    first: float
    second: np.ndarray


def test_numbers_of_all_kinds_become_json() -> None:
    content = {
        "array": np.array([[1.0, np.nan]]),
        "scalar": np.float32(0.5),
        "infinite": float("inf"),
        "pair": Pair(1.0, np.arange(2)),
        "path": Path("a/b"),
        "flag": np.bool_(True),
        "nothing": None,
    }
    assert json.loads(to_json(content)) == {
        "array": [[1.0, None]],
        "scalar": 0.5,
        "infinite": None,
        "pair": {"first": 1.0, "second": [0, 1]},
        "path": "a/b",
        "flag": True,
        "nothing": None,
    }


def test_floats_keep_all_digits() -> None:
    assert json.loads(to_json(plain(0.1 + 0.2))) == 0.1 + 0.2


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        check_folder(tmp_path / "out")


def test_a_new_run_takes_the_old_result_away(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    start_folder(check_folder(tmp_path, overwrite=True), {"steps": 3})
    assert [file.name for file in tmp_path.iterdir()] == ["settings.yaml"]


def test_a_folder_is_made_only_when_the_run_starts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    folder.start({"steps": 1})
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [".lock", "settings.yaml"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    writers = [atomic_file(tmp_path / name) for name in ("data.npz", "FORCE_SETS", "result.json")]
    writers += [atomic_folder(tmp_path / "potential")]
    assert all(writer.__enter__().exists() for writer in writers)
    (tmp_path / ".my-settings.yaml").touch()
    assert len(list(tmp_path.iterdir())) == 5
    RunFolder(tmp_path, resume=True).start({})
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".lock", ".my-settings.yaml", "settings.yaml",
    ]  # fmt: skip


def test_what_cannot_be_resumed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no settings.yaml in .*notes.txt is no file of"):
        RunFolder(tmp_path, resume=True)
    assert not RunFolder(tmp_path, resume=True, own=("notes.*",)).resumed
    with pytest.raises(ValueError, match="needs the output folder"):
        RunFolder(None, resume=True)
    with pytest.raises(ValueError, match="give one of them"):
        RunFolder(tmp_path, resume=True, overwrite=True)


def test_any_calculator_has_an_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["relax.py", "--fmax", "0.01", "my file.xyz"])
    origin = provenance(EMT(), seed=0)
    made_by = {"package": {"ase": ase.__version__}}
    expected = {"name": "emt", "sha256": None, "calculator": "EMT", "made_by": made_by}
    assert origin["potential"] == expected
    assert origin["seed"] == 0
    assert origin["command"] == "relax.py --fmax 0.01 'my file.xyz'"


def test_origin_of_a_potential_is_complete(potential: Potential) -> None:
    calculator = PotentialCalculator(potential, device="cpu", dtype="float32")
    origin = provenance(calculator, seed=3)
    assert set(origin) == {
        "potential", "device", "dtype", "tf32", "deterministic", "threads", "seed", "versions",
        "command",
    }  # fmt: skip
    assert (origin["device"], origin["dtype"], origin["tf32"]) == ("cpu", "float32", False)
    assert origin["threads"] == torch.get_num_threads()
    assert set(origin["versions"]) == {"python", *PACKAGES}
    assert origin["versions"]["torch"] == torch.__version__
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        assert provenance(calculator)["tf32"] is True
    finally:
        torch.set_float32_matmul_precision(precision)


def test_a_result_without_provenance_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without provenance"):
        write_result(tmp_path, {"energy_eV": 1.0})
    assert not list(tmp_path.iterdir())


def test_results_are_written_in_one_place_only(root: Path) -> None:
    """So that every verb's result.json has what write_result insists on."""
    package = root / "ase_geomformer"
    writers = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if ("RESULT_FILE" in line or '"result.json"' in line) and "write" in line
    ]
    assert writers == ["runs/folder.py"]
