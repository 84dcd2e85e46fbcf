"""The folder of a run: checked, resumed, and written into, alike for every verb."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from ase import Atoms

from ase_geomformer.machine.bounded import read_arrays, read_yaml
from ase_geomformer.machine.files import atomic_file, expanded, remove_leftovers, write_text
from ase_geomformer.runs import extxyz
from ase_geomformer.runs.lock import LOCK_FILE, check_free, hold, release
from ase_geomformer.runs.plain import plain, to_json
from ase_geomformer.runs.provenance import provenance
from ase_geomformer.runs.result import RunResult
from ase_geomformer.runs.same import check_same, check_same_inputs
from ase_geomformer.runs.style import save_figure, vector_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS_FILE = "settings.yaml"
RESULT_FILE = "result.json"
# The page that --report makes of a run.
PAGE_FILE = "report.html"
# Potentials that a run made: the best, and a folder of several.
POTENTIAL_FOLDER, COMMITTEE_FOLDER = "potential", "committee"
# The last structure: for other programs, and for the next verb with every constraint, which
# extended XYZ does not keep.
FINAL_FILES = ("final.extxyz", "final.traj")
# Largest checkpoint that is read back.
_CHECKPOINT_BYTES = 2e9


class RunFolder:
    """The folder of a run; without a path nothing is written.

    It is checked when this object is made and not touched before :meth:`start`, so that bad input
    leaves no folder behind.

    Parameters
    ----------
    output : path, optional
    resume : bool
        Resume the run in the folder, or start it if there is none.
    overwrite : bool
        Replace the files of an earlier run.
    checkpoint : str
        File that a run of this kind resumes from.
    own : iterable of str
        Patterns of the files that such a run may leave before its first checkpoint.

    Attributes
    ----------
    path : Path or None
    resumed : bool
        Whether the folder holds a run to resume.

    Raises
    ------
    FileExistsError
        If the folder is not empty, or a file.
    FileNotFoundError
        If the folder to resume in holds something else than such a run.
    ValueError
        If a run is to be resumed without a folder, or also to be overwritten.
    """

    def __init__(
        self,
        output: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
        checkpoint: str = SETTINGS_FILE,
        own: Iterable[str] = (),
    ) -> None:
        if resume and output is None:
            raise ValueError("resume needs the output folder of the run to resume")
        if resume and overwrite:
            raise ValueError("resume continues a run and overwrite replaces it; give one of them")
        self.path: Path | None = None
        self.resumed = False
        if output is None:
            return
        self.path = check_folder(output, overwrite=overwrite or resume)
        check_free(self.path)
        if resume:
            self.resumed = (self.path / checkpoint).exists()
            if not self.resumed:
                _check_own(self.path, checkpoint, own)

    def check_settings(
        self, settings: Any, *, inputs: Mapping[str, Any] | None = None, free: Iterable[str] = ()
    ) -> None:
        """Compare the settings with those in ``settings.yaml`` of the run to resume.

        Parameters
        ----------
        settings : dataclass
        inputs : mapping, optional
            What else the run was started from.
        free : iterable of str
            Settings that may change; nested ones as ``outer.inner``.

        Raises
        ------
        ValueError
            If one differs that the result depends on.
        """
        if self.path is None or not (self.path / SETTINGS_FILE).exists():
            return
        stored = read_yaml(self.path / SETTINGS_FILE)
        if not isinstance(stored, Mapping):
            raise ValueError(f"{self.path / SETTINGS_FILE} does not hold the settings of a run")
        run = f"in {self.path}"
        check_same(stored, settings, free=free, run=run)
        check_same_inputs(stored, settings, inputs or {}, free=free, run=run)

    def start(
        self, settings: Mapping[str, Any], *, files: Iterable[str] = (), kept: Iterable[str] = ()
    ) -> None:
        """Make the folder, remove what an earlier run left and write ``settings.yaml``.

        Parameters
        ----------
        settings : mapping
            What ``settings.yaml`` records.
        files : iterable of str
            Files that such a run writes.
        kept : iterable of str
            Those that a resumed run needs.
        """
        if self.path is None:
            return
        files = [*files, *filter(None, map(extxyz.whole_file, files))]
        self.path.mkdir(parents=True, exist_ok=True)
        hold(self.path)
        remove_leftovers(self.path)
        spared = set(kept) if self.resumed else set()
        start_folder(self.path, settings, [name for name in files if name not in spared])

    def file(self, name: str) -> Path | None:
        """Path of a file in the folder; None without a folder."""
        return None if self.path is None else self.path / name

    def save(self, name: str, write: Callable[[Path], object]) -> None:
        """Have a function write a file, atomically; it is not called without a folder."""
        if self.path is not None:
            with atomic_file(self.path / name) as temporary:
                write(temporary)

    def save_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write arrays as an npz file."""
        held = {key: np.asarray(value) for key, value in arrays.items()}

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, **held)

        self.save(name, write)

    def load_arrays(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Arrays that :meth:`save_arrays` wrote in a run that is resumed; none if there are none.

        Parameters
        ----------
        name : str
        shapes : mapping
            Shape of each array that is needed; -1 stands for any length.

        Raises
        ------
        ValueError
            If the file is damaged, or its arrays have other shapes or values that are not finite.
        """
        path = self.file(name)
        if not self.resumed or path is None or not path.exists():
            return {}
        try:
            arrays = read_arrays(path, _CHECKPOINT_BYTES)
            for key, shape in shapes.items():
                _check_array(arrays[key], key, shape)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"{path} is not the checkpoint of this run: {error}; start a new run in another "
                "folder"
            ) from error
        return arrays

    def save_atoms(self, name: str, atoms: Atoms | list[Atoms]) -> None:
        """Write structures in the format that the suffix names.

        Beside an extended XYZ file, which does not keep all constraints, one that does is written
        where there are such.
        """
        from ase.io import write

        whole = extxyz.whole_file(name)
        frames = [atoms] if isinstance(atoms, Atoms) else atoms
        if whole is not None and any(extxyz.left_out(frame) for frame in frames):
            self.save(whole, lambda path: write(path, frames))
            frames = [extxyz.marked(frame) for frame in frames]
        self.save(name, lambda path: write(path, frames))

    def save_final(self, atoms: Atoms) -> None:
        """Write the structure that a run ends with, in all formats."""
        for name in FINAL_FILES:
            self.save_atoms(name, atoms)

    def save_figure(self, name: str, draw: Callable[[], Figure]) -> None:
        """Draw a figure and write it."""
        if self.path is not None:
            save_figure(draw(), self.path / name)

    def write_result(
        self,
        result: RunResult,
        calculator: Any,
        *,
        seed: int | None = None,
        atoms: Atoms | None = None,
        **extra: Any,
    ) -> None:
        """Write ``result.json``: the summary, ``extra``, and the provenance."""
        if self.path is not None:
            origin = provenance(calculator, seed=seed, atoms=atoms)
            self.write_summary(result, origin, **extra)

    def write_summary(self, result: RunResult, origin: Mapping[str, Any], **extra: Any) -> None:
        """Write ``result.json`` of a run whose provenance is given."""
        if self.path is not None:
            write_result(self.path, {**result.summary(), **extra, "provenance": origin})
            release(self.path)


def _check_array(array: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    fits = len(array.shape) == len(shape) and all(
        wanted in (-1, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {array.shape} where {shape} is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")


def check_folder(
    folder: str | os.PathLike[str], *, overwrite: bool = False, own: Iterable[str] = ()
) -> Path:
    """Refuse a folder that cannot take a run's files; nothing is written yet.

    Parameters
    ----------
    folder : path
    overwrite : bool
        Whether files in it may be replaced.
    own : iterable of str
        Patterns of files that may be there all the same.

    Raises
    ------
    FileExistsError
        If it has files in it and ``overwrite`` is not set, or it is a file.
    """
    folder = expanded(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"the output folder {folder} is a file; give another name")
    if not overwrite and _others(folder, own):
        raise FileExistsError(
            f"the output folder {folder} is not empty; give another one, resume the run in it "
            "(resume), or allow its results to be replaced (overwrite)"
        )
    return folder


def start_folder(folder: Path, settings: Mapping[str, Any], files: Iterable[str] = ()) -> None:
    """Make the folder, remove an earlier run's ``files`` from it and write the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [*files, RESULT_FILE, PAGE_FILE]
    for name in (*files, *(beside for file in files for beside in vector_files(file))):
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


def _check_own(folder: Path, checkpoint: str, own: Iterable[str]) -> None:
    others = _others(folder, (*own, SETTINGS_FILE, ".*"))
    if others:
        raise FileNotFoundError(
            f"there is no {checkpoint} in {folder} to resume from, and {others[0]} is no file of "
            "such a run; give the folder of the run, or a new one"
        )


def _others(folder: Path, own: Iterable[str]) -> list[str]:
    """Names of the entries of a folder, those that fit a pattern aside."""
    patterns = list(own)
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set[str]()
    names.discard(LOCK_FILE)  # of a process that was killed
    return sorted(name for name in names if not any(fnmatch(name, it) for it in patterns))
