"""Labelling the structures of a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.writer import write_frames
from ase_geomformer.learning.label_settings import LabelSettings
from ase_geomformer.learning.labelling import label_structures
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.teacher import Teacher, labeller
from ase_geomformer.runs.executor import Executor
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.report import show
from ase_geomformer.runs.result import Row, RunResult

STORE_FILE = "labels.jsonl"
FRAMES_FILE = "labels.extxyz"
TEACHER_FOLDER = "teacher"


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelResult(RunResult):
    """Labelled structures.

    Attributes
    ----------
    frames : list of Frame
        Those that have labels, in the order of the structures.
    structures : int
        Number of structures given; one that repeats another counts.
    calls, failed_calls : int
        Calls of the teacher, those of earlier parts of the run included.
    set_aside : int
        Structures without label, because the teacher failed twice.
    seconds_per_call : float or None
        Median wall time of a call.
    reasons : list of str
        Why calls have failed.
    """

    frames: list[Frame]
    structures: int
    calls: int
    failed_calls: int
    set_aside: int
    seconds_per_call: float | None
    reasons: list[str] = field(default_factory=list)

    @property
    def problem(self) -> str:
        if not self.set_aside:
            return ""
        return (
            f"{self.set_aside} structures have no label because the teacher failed twice; the last "
            f"reason is: {self.reasons[-1]}"
        )

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "structures": self.structures,
            "labelled": len(self.frames),
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "set_aside": self.set_aside,
            "seconds_per_call": self.seconds_per_call,
            "failures": self.reasons,
        }

    def rows(self) -> list[Row]:
        seconds = self.seconds_per_call
        return [
            ("structures", str(self.structures), ""),
            ("labelled", str(len(self.frames)), ""),
            ("calls of the teacher", str(self.calls), ""),
            ("failed calls", str(self.failed_calls), ""),
            ("time of a call", "" if seconds is None else f"{1e3 * seconds:.3g}", "ms"),
        ]


def label(
    structures: Iterable[Atoms],
    teacher: Teacher | Calculator | str,
    settings: LabelSettings | None = None,
    *,
    output: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
    cluster: Executor | Any | str | None = None,
) -> LabelResult:
    """Label structures with energies, forces and, where the cell has a volume, stresses.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Charge and spin multiplicity are in ``info``, as for a
        :class:`~ase_geomformer.calculator.PotentialCalculator`.
    teacher : str, ASE calculator or Teacher
        The name of a calculator, ``module:factory``, or a calculator.
    settings : LabelSettings, optional
    output : path
        Folder of ``labels.jsonl``, which holds every answer as soon as it is there, and
        ``labels.extxyz``, from which ``train`` reads; ``settings.yaml`` and ``result.json``.
    resume : bool
        Continue in the folder, perhaps with other structures; what has a label is not computed
        again.
    overwrite, progress, inputs
        As in :class:`~ase_geomformer.recipes.base.RunKeywords`.
    cluster : Executor, dask.distributed.Client or str, optional
        Has the structures labelled, see :func:`~ase_geomformer.runs.executor.executor_of`.

    Returns
    -------
    LabelResult

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError, ImportError
        If there are no structures, the teacher cannot be made, or the folder holds labels of
        another one.
    """
    started = time.perf_counter()
    settings, teacher, structures = settings or LabelSettings(), Teacher.of(teacher), [*structures]
    if not structures:
        raise ValueError("there are no structures to label; give at least one")
    folder = RunFolder(output, resume=resume, overwrite=overwrite, own=(STORE_FILE, TEACHER_FOLDER))
    calculator = teacher.make()
    about = teacher.describe(calculator)
    assert folder.path is not None
    folder.start(
        {**dict(inputs or {}), **asdict(settings)},
        files=(STORE_FILE, FRAMES_FILE),
        kept=(STORE_FILE,) if resume else (),
    )
    store = LabelStore(folder.path / STORE_FILE, about)
    asks = labeller(
        teacher,
        workers=settings.workers,
        folder=folder.path / TEACHER_FOLDER,
        timeout_s=settings.timeout_s,
        cluster=cluster,
    )
    try:
        labelled = label_structures(structures, asks, store, progress=progress)
    finally:
        asks.close()
    if labelled.found:
        write_frames(folder.path / FRAMES_FILE, labelled.found)
    result = LabelResult(
        reason="all structures were tried",
        wall_time=time.perf_counter() - started,
        output=folder.path,
        frames=labelled.found,
        structures=len(structures),
        calls=store.calls,
        failed_calls=len(store.failures),
        set_aside=len(store.set_aside),
        seconds_per_call=store.median_seconds,
        reasons=[failure.reason for failure in store.failures],
    )
    folder.write_result(result, calculator, teacher=about)
    if progress:
        show(result, "Labels")
    return result
