"""From a structure and a teacher to a potential."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer.learning.label import STORE_FILE, TEACHER_FOLDER
from ase_geomformer.learning.plan import fewest_labels
from ase_geomformer.learning.settings import FREE, LearnSettings
from ase_geomformer.learning.state import STATE_FILE, RunState
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.teacher import Teacher, labeller
from ase_geomformer.runs.executor import Executor
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.report import show

if TYPE_CHECKING:
    from ase_geomformer.learning.result import LearnResult

KEPT = (STORE_FILE, STATE_FILE)


def learn(
    atoms: Atoms,
    teacher: Teacher | Calculator | str,
    settings: LearnSettings | None = None,
    *,
    output: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
    cluster: Executor | Any | str | None = None,
) -> LearnResult:
    """Train a potential of one system from any ASE calculator.

    Structures are sampled around the one given, labelled by the teacher, and several potentials
    are trained on them. In each round, dynamics with these at the temperature of use and at the
    highest one give new structures. Those that are labelled are drawn at random, and tell the error
    before they are trained on. In the
    end the best potential is tried out, and a verdict says whether the target is reached.

    Parameters
    ----------
    atoms : ase.Atoms
        A molecule, crystal, surface or liquid; its constraints hold in all dynamics.
    teacher : str, ASE calculator or Teacher
        The name of a calculator, ``module:factory``, or a calculator.
    settings : LearnSettings, optional
    output : path
        Folder for ``potential`` (the best one, ready to use), ``committee``, ``labels.jsonl`` and
        ``labels.extxyz``, figures, ``report.html``, ``settings.yaml`` and ``result.json``.
    resume : bool
        Continue in the folder: after a kill, or, with more ``minutes``, after its end.
    overwrite, progress, inputs
        As in :class:`~ase_geomformer.recipes.base.RunKeywords`.
    cluster : Executor, dask.distributed.Client or str, optional
        Has the structures labelled, see :func:`~ase_geomformer.runs.executor.executor_of`.

    Returns
    -------
    LearnResult

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError, ImportError
        If the teacher cannot be made or cannot label the structure, may not be asked often enough,
        or a run is to be resumed with another structure, teacher or other settings.
    """
    # What trains, plots and runs dynamics is large: the public name is there without it.
    from ase_geomformer.learning import export
    from ase_geomformer.learning.context import LearnContext
    from ase_geomformer.learning.learner import Learner
    from ase_geomformer.registry import load_potential

    settings, teacher = settings or LearnSettings(), Teacher.of(teacher)
    if len(atoms) < 2:
        raise ValueError("there is nothing to learn of a single atom; give a structure of several")
    if settings.students.start_from is not None:
        load_potential(settings.students.start_from).check_elements(atoms.numbers)
    started = time.monotonic()
    folder = RunFolder(output, resume=resume, overwrite=overwrite, own=(*KEPT, TEACHER_FOLDER))
    assert folder.path is not None
    if folder.resumed:
        folder.check_settings(settings, inputs=inputs, free=FREE)
    about = teacher.describe(teacher.make())
    store = LabelStore(folder.path / STORE_FILE, about) if folder.resumed else None
    state = RunState.load(folder.path) if folder.resumed else RunState()
    check_calls(atoms, settings, state, 0 if store is None else store.calls)
    folder.start(
        {**dict(inputs or {}), **asdict(settings)}, files=(*KEPT, *export.FILES), kept=KEPT
    )
    store = store or LabelStore(folder.path / STORE_FILE, about)
    asks = labeller(
        teacher,
        workers=settings.labels.workers,
        folder=folder.path / TEACHER_FOLDER,
        timeout_s=settings.labels.timeout_s,
        cluster=cluster,
    )
    context = LearnContext(settings, store, asks, state, folder, started, progress)
    learner = Learner(atoms, context)
    try:
        learner.run()
    finally:
        asks.close()
    result = export.finish(learner, teacher, about)
    if progress:
        show(result, f"learn: {atoms.get_chemical_formula()} from {teacher.name}")
    return result


def check_calls(atoms: Atoms, settings: LearnSettings, state: RunState, made: int) -> None:
    """Refuse a run, or a further part of one, for which too few calls of the teacher are left.

    Parameters
    ----------
    atoms : ase.Atoms
    settings : LearnSettings
    state : RunState
        Of the run that is resumed, or a new one.
    made : int
        Calls that were made already.

    Raises
    ------
    ValueError
    """
    first = not state.initial and not made
    further = state.finished and 60.0 * settings.minutes > state.elapsed_s
    needed, limit = fewest_labels(atoms, first=first), settings.label_limit
    if (first or further) and limit - made < needed:
        raise ValueError(
            f"max_labels = {limit} leaves {max(0, limit - made)} calls of the teacher, {made} of "
            f"the run so far counted, and {needed} are needed: give {made + needed} or more"
        )
