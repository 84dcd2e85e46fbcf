"""Running molecular dynamics: from atoms, a calculator and settings to a result and its files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ase_geomformer.md import guards, report, restart
from ase_geomformer.md.constraints import NotHeld
from ase_geomformer.md.observer import Observer
from ase_geomformer.md.output import (
    FIGURE_FILE,
    FolderRemovedError,
    Output,
    find_checkpoint,
    run_folder,
    start,
)
from ase_geomformer.md.result import MDResult, averages, drift, suggested_equilibration
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation, begin
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.report import show
from ase_geomformer.runs.structures import StructureLike, as_structure

# What ends a run as a run, with its files and its reason.
STOPS = (guards.RunStopped, NotHeld)
# What the run cannot be blamed for, and cannot be told of in its files: a full disk, too little
# memory.
RAISED = (OSError, MemoryError)


@takes_pymatgen()
def run_md(
    atoms: StructureLike | None,
    calculator: Any,
    settings: MDSettings | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    observers: Sequence[Observer] = (),
    progress: bool = True,
    overwrite: bool = False,
    inputs: Mapping[str, Any] | None = None,
) -> MDResult:
    """Run molecular dynamics.

    The run uses a random generator of its own, made from ``settings.seed``, and a copy of the
    atoms. Velocities are drawn at ``settings.temperature_K`` unless the atoms have some.

    A run in a folder can be resumed: after it was killed, from the last ``restart.npz``; after it
    was finished, with more ``steps``. Positions, momenta, cell, log and trajectory are then, to
    the last bit, those of a run that was never interrupted. That takes a calculator whose results
    depend on nothing but the structure; one with a memory, such as ASE's EMT, repeats itself only
    from multiples of ``checkpoint_interval``, at which it is reset; and on a GPU, sums whose order
    is left to chance differ in their last bits from run to run.

    Parameters
    ----------
    atoms : ase.Atoms, path or None
        Starting structure; left as it is. A resumed run has its own, and the one given is only
        checked to be of the same elements.
    calculator : ASE calculator, str or path
        Any ASE calculator, or the name or path of a potential.
    settings : MDSettings, optional
        Defaults are those of the run to resume, if any.
    output : path, optional
        Folder for the trajectory, ``log.csv``, ``restart.npz``, ``final.extxyz``, ``final.traj``
        (with all constraints), ``md.png``, ``settings.yaml`` and ``result.json``; nothing is
        written without it. When a guard stops the run, ``offending.extxyz`` takes the place of
        the final structure, and the frames before it are in ``last_good.traj``.
    resume : bool
        Resume the run in ``output``, or start it if there is none yet.
    observers : sequence of Observer
        Functions to call every so many steps. A run that is resumed after it was killed makes
        the steps since its last checkpoint, and calls them, again.
    progress : bool
        Show a progress bar, and a table at the end.
    overwrite : bool
        Replace the files of an earlier run in ``output``.
    inputs : mapping, optional
        What else the run was started from, written into ``settings.yaml``.

    Returns
    -------
    MDResult
        ``completed`` is False, and ``reason`` says why, when a guard, an error of the calculator
        or the user (Ctrl-C) stopped the run.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    FileNotFoundError
        If there is no run in the folder to resume, but something else.
    ValueError
        If structure and ensemble do not fit each other, or a resumed run is given another
        structure, potential or settings.
    """
    atoms = None if atoms is None else as_structure(atoms)
    folder = run_folder(output, resume=resume, overwrite=overwrite)
    checkpoint = find_checkpoint(folder)
    if checkpoint:
        restart.check_structure(checkpoint, atoms)
        settings = settings or checkpoint.settings
        simulation = restart.resume(checkpoint, calculator, settings)
    elif atoms is None:
        raise ValueError("there is no run to resume; give a structure")
    else:
        settings = settings or MDSettings()
        simulation = begin(atoms, calculator, settings)
    start(folder, settings, inputs or {})
    files = Output(simulation, folder, checkpoint)
    try:
        reason, error = _run(simulation, files, observers, progress)
    finally:
        files.close()
    result = finish(simulation, files, reason, error)
    if progress:
        show(result, report.title(result, settings))
    return result


def _run(
    simulation: Simulation, files: Output, observers: Sequence[Observer], progress: bool
) -> tuple[str, Exception | None]:
    """Make the steps; why the run ended, and the error that stopped it, a guard's or any other."""
    settings, dynamics = simulation.settings, simulation.dynamics
    with report.progress_bar(simulation, progress) as advance:
        # In this order, so that no bad frame is written and a checkpoint knows all that is.
        watch(simulation, files)
        for observer in observers:
            dynamics.attach(observer, observer.interval, simulation)
        dynamics.attach(files.checkpoint, settings.checkpoint_interval)
        dynamics.attach(advance, 1)
        try:
            dynamics.run(settings.steps - simulation.step)
        except KeyboardInterrupt:
            return f"interrupted at step {simulation.step}", None
        except Exception as error:  # of the calculator, an integrator, an observer
            if files.are_there():
                if isinstance(error, RAISED):
                    raise
                return why(simulation, files, error), error
    if not files.are_there():
        gone = FolderRemovedError(files.folder)
        return str(gone), gone
    files.save()
    return f"all {settings.steps} steps made", None


def why(simulation: Simulation, files: Output, error: Exception) -> str:
    """Why a run ended early, and where to look."""
    if isinstance(error, STOPS):
        return f"{error}{files.whereabouts()}"
    when = f"stopped at step {simulation.step} ({simulation.time_fs:g} fs)"
    return f"{when} by {type(error).__name__}: {error}.{files.whereabouts()}"


def watch(simulation: Simulation, files: Output) -> None:
    """Have the dynamics follow its target, mind its guards and write its files."""
    simulation.dynamics.attach(simulation.ramp, 1)
    simulation.dynamics.attach(lambda: guards.check_guards(simulation), 1)
    files.attach()


def finish(simulation: Simulation, files: Output, reason: str, error: Exception | None) -> MDResult:
    """Write what there is to write at the end of a run, and give its result."""
    removed = isinstance(error, FolderRemovedError)
    if not removed:
        files.write_end(stopped=error is not None)
    result = _result(simulation, files, reason, error)
    if not removed:
        _write(files.run_folder, result, simulation.settings)
    return result


def _result(
    simulation: Simulation, files: Output, reason: str, error: Exception | None
) -> MDResult:
    settings, log = simulation.settings, files.recorder.columns()
    return MDResult(
        completed=simulation.step == settings.steps and error is None,
        reason=reason,
        steps=simulation.step,
        wall_time=files.wall_time(),
        timestep_fs=settings.timestep_fs,
        degrees_of_freedom=simulation.degrees_of_freedom,
        initial_velocities=simulation.initial_velocities,
        averages=averages(log, settings.equilibration_steps),
        drift_meV_per_atom_per_ps=drift(log, settings.equilibration_steps, len(simulation.atoms)),
        log=log,
        atoms=simulation.atoms,
        equilibration_steps=settings.equilibration_steps,
        suggested_equilibration_steps=suggested_equilibration(log),
        output=files.folder,
        error=error,
    )


def _write(folder: RunFolder, result: MDResult, settings: MDSettings) -> None:
    from ase_geomformer.md.figure import plot

    if result.log:
        folder.save_figure(FIGURE_FILE, lambda: plot(result.log, settings))
    folder.write_result(result, result.atoms.calc, seed=settings.seed)
