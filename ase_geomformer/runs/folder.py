"""The folder that a run leaves behind: opened, resumed, and written into."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from ase import Atoms

from ase_geomformer.machine.bounded import read_yaml
from ase_geomformer.machine.files import atomic_file, expanded, write_text
from ase_geomformer.runs.plain import plain, to_json
from ase_geomformer.runs.provenance import provenance
from ase_geomformer.runs.result import RecipeResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS_FILE = "settings.yaml"
RESULT_FILE = "result.json"


def check_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse a folder that cannot take a run's files; nothing is written yet.

    Raises
    ------
    FileExistsError
        If it has files in it and ``overwrite`` is not set, or it is a file.
    """
    folder = expanded(folder)
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


class RunFolder:
    """The folder of a recipe's files; without a path nothing is written.

    Attributes
    ----------
    path : Path or None
    resumed : bool
        Whether the folder holds an earlier run to go on with.
    """

    def __init__(self, path: Path | None, *, resumed: bool = False) -> None:
        self.path, self.resumed = path, resumed

    def file(self, name: str) -> Path | None:
        """Path of a file in the folder; None without a folder."""
        return None if self.path is None else self.path / name

    def save_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write arrays as an npz file."""
        if self.path is not None:
            with atomic_file(self.path / name) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})

    def save_atoms(self, name: str, atoms: Atoms | list[Atoms]) -> None:
        """Write structures in the format that the suffix names."""
        from ase.io import write

        if self.path is not None:
            with atomic_file(self.path / name) as temporary:
                write(temporary, atoms)

    def save_figure(self, name: str, draw: Callable[[], Figure]) -> None:
        """Draw a figure and write it; nothing is drawn without a folder."""
        from ase_geomformer.runs.style import save_figure

        if self.path is not None:
            save_figure(draw(), self.path / name)

    def write_result(self, result: RecipeResult, calculator: Any, **extra: Any) -> None:
        """Write ``result.json``: the summary, ``extra``, and the provenance."""
        if self.path is not None:
            origin = provenance(calculator)
            write_result(self.path, {**result.summary(), **extra, "provenance": origin})


def open_folder(
    output: str | os.PathLike[str] | None,
    settings: Any,
    *,
    inputs: Mapping[str, Any] | None = None,
    files: Iterable[str] = (),
    kept: Iterable[str] = (),
    free: Iterable[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> RunFolder:
    """Make a recipe's folder and write its ``settings.yaml``.

    Call it after the structure has been checked, so that bad input makes no folder.

    Parameters
    ----------
    output : path or None
    settings : dataclass
    inputs : mapping, optional
        What else the run was started from, written before the settings.
    files : iterable of str
        Files that the recipe writes; those of an earlier run are removed.
    kept : iterable of str
        Those that a resumed run goes on with.
    free : iterable of str
        Settings that may change when a run resumes.
    resume : bool
        Go on with the run in the folder, or begin it if there is none.
    overwrite : bool
        Replace the files of an earlier run.

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError
        If a run is to be resumed with other settings or potential, or without a folder.
    """
    written = {**(inputs or {}), **asdict(settings)}
    if resume and output is None:
        raise ValueError("resume needs the output folder of the run to go on with")
    if resume and overwrite:
        raise ValueError("resume goes on with a run, and overwrite replaces it; give one of them")
    if output is None:
        return RunFolder(None)
    folder = check_folder(output, overwrite=overwrite or resume)
    resumed = resume and (folder / SETTINGS_FILE).exists()
    if resumed:
        _check_same(folder, written, set(free))
    elif resume:
        check_folder(folder)  # files of something else
    for name in (*files, SETTINGS_FILE, RESULT_FILE):
        stem, _, suffix = name.rpartition(".")
        for left in folder.glob(f".{stem}-*.{suffix}"):  # by a killed process
            left.unlink()
    start_folder(folder, written, set(files) - (set(kept) if resumed else set()))
    return RunFolder(folder, resumed=resumed)


# Where a run is made, how fast, and how its files are named does not change what it computes.
_PLACES = {
    "structure",
    "index",
    "device",
    "neighbors",
    "skin",
    "compile",
    "keep_memory",
}


def _check_same(folder: Path, settings: Mapping[str, Any], free: set[str]) -> None:
    """Refuse to go on with a run whose settings were others."""
    before = read_yaml(folder / SETTINGS_FILE)
    for name, value in plain(settings).items():
        if name in before and name not in free | _PLACES and before[name] != value:
            raise ValueError(
                f"the run in {folder} has {name} = {before[name]!r}, not {value!r}; resume it with "
                "the same, or start a new one in another folder"
            )
