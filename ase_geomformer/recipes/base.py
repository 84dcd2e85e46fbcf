"""What all recipes share: their keywords, evaluator, clock, folder and report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar

import torch
from ase import Atoms

from ase_geomformer.evaluate import Evaluator, as_evaluator
from ase_geomformer.machine.bounded import read_json
from ase_geomformer.potential import Potential
from ase_geomformer.runs import report
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.result import RecipeResult
from ase_geomformer.runtime.evaluation import as_before, compile_if_long, evaluation_of
from ase_geomformer.settings.plain import check_plain

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

# How a run is evaluated that can be resumed: see :func:`evaluation_of`.
EVALUATION_FILE = "evaluation.json"
# What a recipe takes as its potential.
PotentialLike: TypeAlias = "str | os.PathLike[str] | Potential | Calculator | Evaluator"
_Result = TypeVar("_Result", bound=RecipeResult)


class RunKeywords(TypedDict, total=False):
    """Keyword arguments of every recipe.

    Attributes
    ----------
    output : path, optional
        Folder for the files; nothing is written without it.
    resume : bool
        Resume the run in ``output``, or start it if there is none; False by default. Equations of
        state, elastic constants and vibrations cannot resume, and refuse it.
    overwrite : bool
        Replace the files of an earlier run in ``output``; False by default.
    progress : bool
        Show progress bars, and a table at the end; True by default.
    inputs : mapping, optional
        What else the run was started from, written into ``settings.yaml``.
    compile_if_long : bool
        Compile the potential first, where ``compile`` is ``"auto"``, if the run is predicted to
        save more time than that takes; False by default. The command line does. Exact second
        derivatives (vibrations) are not compiled.
    """

    output: str | os.PathLike[str] | None
    resume: bool
    overwrite: bool
    progress: bool
    inputs: Mapping[str, Any] | None
    compile_if_long: bool


class Run:
    """One run of a recipe.

    The output folder is checked when a run is made, before any work, and is made by
    :meth:`start`, after structure and settings have been checked.

    Parameters
    ----------
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64.
    settings : dataclass
    resumes : bool
        Whether the recipe keeps what a run can resume from.
    output, resume, overwrite, progress, inputs, compile_if_long
        As in :class:`RunKeywords`.

    Attributes
    ----------
    evaluator : Evaluator
    folder : RunFolder
    progress : bool
    """

    def __init__(
        self,
        potential: PotentialLike,
        settings: Any,
        *,
        resumes: bool = True,
        output: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: bool = True,
        inputs: Mapping[str, Any] | None = None,
        compile_if_long: bool = False,
    ) -> None:
        self._started = time.perf_counter()
        self._settings, self._inputs = settings, dict(inputs or {})
        if resume and not resumes:
            raise ValueError("this recipe cannot resume a run; start it again with overwrite")
        self._notes: list[str] = []
        self.progress = progress
        self.folder = RunFolder(output, resume=resume, overwrite=overwrite)
        self.evaluator = recipe_evaluator(potential)
        self._compiles, self._resumes = compile_if_long, resumes
        self._first: Atoms | None = None

    def foresee(self, structures: Sequence[Atoms], evaluations: float) -> None:
        """Settle how the run is evaluated, before it starts.

        A run that is resumed is evaluated as it was begun, with a warning where that is
        impossible; for one that is long, the potential is compiled first if the run may.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            What is evaluated together.
        evaluations : float
            How often, roughly.
        """
        self._first = structures[0]
        file = self.folder.file(EVALUATION_FILE)
        if self.folder.resumed and file is not None:
            if file.is_file():
                how = _evaluation_in(file)
                self.evaluator = as_before(self.evaluator, structures[0], how)
        elif self._compiles:
            self.evaluator = compile_if_long(self.evaluator, structures, evaluations)

    def start(
        self, files: Iterable[str], *, kept: Iterable[str] = (), free: Iterable[str] = ()
    ) -> RunFolder:
        """Make the folder and write ``settings.yaml``.

        Parameters
        ----------
        files : iterable of str
            Files that the recipe writes; those of an earlier run are removed.
        kept : iterable of str
            Those that a resumed run needs.
        free : iterable of str
            Settings that may change when a run resumes.

        Raises
        ------
        ValueError
            If a run is to be resumed with other settings.
        """
        if self.folder.resumed:
            self.folder.check_settings(self._settings, inputs=self._inputs, free=free)
        self.folder.start(
            {**self._inputs, **asdict(self._settings)},
            files=(*files, EVALUATION_FILE),
            kept=(*kept, EVALUATION_FILE),
        )
        how = None if self._first is None else evaluation_of(self.evaluator, self._first)
        if self._resumes and how is not None:
            record = to_json({"evaluation": how})
            self.folder.save(EVALUATION_FILE, lambda path: path.write_text(record))
        return self.folder

    def bar(
        self, description: str, total: int | None, done: int = 0
    ) -> AbstractContextManager[report.Advance]:
        """A progress bar, shown if the user wants to see it."""
        return report.progress_bar(description, total, self.progress, done=done)

    def note(self, text: str) -> None:
        """Have the result's reason say something about the run."""
        if text:
            self._notes.append(text)

    @property
    def wall_time(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._started

    def outcome(self, converged: bool, reason: str) -> dict[str, Any]:
        """The fields that all results have."""
        return {
            "converged": converged,
            "reason": "; ".join([reason, *self._notes]),
            "wall_time": self.wall_time,
            "output": self.folder.path,
        }

    def finish(self, result: _Result, title: str) -> _Result:
        """Write ``result.json`` and show the result."""
        self.folder.write_result(result, self.evaluator.calculator, atoms=self._first)
        if self.progress:
            report.show(result, title)
        return result


def recipe_evaluator(
    potential: PotentialLike,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str = "float64",
) -> Evaluator:
    """What evaluates structures for a recipe, in float64 unless the caller chose otherwise.

    Parameters
    ----------
    potential : str, path, Potential, ASE calculator or Evaluator
        A calculator or an evaluator keeps the dtype that it was made with.
    device, dtype
        For a potential by its name, path or itself.
    """
    if isinstance(potential, str | os.PathLike | Potential):
        return as_evaluator(potential, device=device, dtype=dtype)
    return as_evaluator(potential)


def _evaluation_in(file: Path) -> str | list[str | None] | None:
    """How a run was evaluated; ValueError if its file does not say."""
    content = read_json(file)
    if not isinstance(content, dict) or "evaluation" not in content:
        raise ValueError(f"{file} does not say how the run was evaluated")
    try:
        check_plain(content["evaluation"], str | list[str | None] | None, "evaluation")
    except ValueError as error:
        raise ValueError(f"{file} does not say how the run was evaluated: {error}") from error
    how: str | list[str | None] | None = content["evaluation"]
    return how
