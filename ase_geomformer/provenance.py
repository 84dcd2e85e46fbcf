"""The folder a run leaves behind, and where its numbers come from."""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from ase_geomformer.files import write_text

SETTINGS_FILE = "settings.yaml"
RESULT_FILE = "result.json"
PACKAGES = (
    "ase-geomformer",
    "ase",
    "torch",
    "e3nn",
    "numpy",
    "scipy",
    "matscipy",
    "vesin",
    "torch-pme",
    "spglib",
    "phonopy",
    "lightning",
)


def check_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse a folder that cannot take a run's files; nothing is written yet.

    Raises
    ------
    FileExistsError
        If it has files in it and ``overwrite`` is not set, or it is a file.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"the output folder {folder} is a file; give another name")
    if folder.is_dir() and not overwrite and any(folder.iterdir()):
        raise FileExistsError(
            f"the output folder {folder} is not empty; give another one, or allow its results "
            "to be replaced (overwrite)"
        )
    return folder


def start_folder(folder: Path, settings: Mapping[str, Any], files: Iterable[str] = ()) -> None:
    """Make the folder, remove an earlier run's ``files`` from it and write the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*files, RESULT_FILE):
        (folder / name).unlink(missing_ok=True)
    text = yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True)
    write_text(folder / SETTINGS_FILE, text)


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json``; what is not a finite number becomes null.

    Raises
    ------
    ValueError
        If it does not say where its numbers come from, under ``provenance``.
    """
    if "provenance" not in result:
        raise ValueError(f"a result without provenance is not written to {folder / RESULT_FILE}")
    write_text(folder / RESULT_FILE, to_json(result))


def to_json(content: Any) -> str:
    """JSON text of numbers, arrays and dataclasses."""
    return json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def plain(value: Any) -> Any:
    """Arrays, dataclasses and paths as lists, dictionaries and strings; NaN and inf as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def provenance(calculator: Any, *, seed: int | None = None) -> dict[str, Any]:
    """What made a result: potential, device, type, versions, seed and command.

    ``tf32`` tells whether float32 products on a GPU may be rounded to ten bits; ``threads`` is
    what sums on a CPU are shared among.

    Parameters
    ----------
    calculator : ase calculator
        A :class:`~ase_geomformer.calculator.PotentialCalculator` is described in full, any
        other by its class and name.
    seed : int, optional
        Seed of the run's random numbers.
    """
    return {
        "potential": _potential(calculator),
        "device": calculator.parameters.get("device"),
        "dtype": calculator.parameters.get("dtype"),
        **_arithmetic(),
        "seed": seed,
        "versions": {"python": platform.python_version(), **_versions()},
        "command": shlex.join(sys.argv),
    }


def _arithmetic() -> dict[str, Any]:
    """How torch computes; None where a run with another calculator has not loaded it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return dict.fromkeys(("tf32", "deterministic", "threads"))
    return {
        "tf32": torch.get_float32_matmul_precision() != "highest",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
    }


def _potential(calculator: Any) -> dict[str, Any]:
    potential = getattr(calculator, "potential", None)
    card = getattr(potential, "card", None)
    members = calculator.parameters.get("members")  # of a committee
    return {
        "name": card.name if card else getattr(calculator, "name", None),
        "sha256": card.sha256 if card else None,
        "calculator": type(calculator).__name__,
        **({} if potential is None else {"conservative": potential.conservative}),
        **({"members": members} if members else {}),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
