"""Running molecular dynamics: from atoms, a calculator and settings to a result and its files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.files import atomic_file
from ase_geomformer.md import guards, report
from ase_geomformer.md.ensembles import ENSEMBLES, Ensemble
from ase_geomformer.md.recorder import Recorder
from ase_geomformer.md.result import MDResult, averages, drift
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.velocities import degrees_of_freedom, draw_velocities
from ase_geomformer.provenance import check_folder, provenance, start_folder, write_result

if TYPE_CHECKING:
    from ase.md.md import MolecularDynamics

LOG_FILE = "log.csv"
TRAJECTORY_FILE = "trajectory.traj"
FINAL_FILE = "final.extxyz"
OFFENDING_FILE = "offending.extxyz"
FIGURE_FILE = "md.png"
FILES = (LOG_FILE, TRAJECTORY_FILE, FINAL_FILE, OFFENDING_FILE, FIGURE_FILE)


def run_md(
    atoms: Atoms,
    calculator: Any,
    settings: MDSettings | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    progress: bool = True,
    overwrite: bool = False,
    inputs: Mapping[str, Any] | None = None,
) -> MDResult:
    """Run molecular dynamics.

    The run uses a random generator of its own, made from ``settings.seed``, and a copy of the
    atoms. Velocities are drawn at ``settings.temperature_K`` unless the atoms have some.

    Parameters
    ----------
    atoms : ase.Atoms
        Starting structure; left as it is.
    calculator : ASE calculator, str or path
        Any ASE calculator, or the name or path of a potential.
    settings : MDSettings, optional
    output : path, optional
        Folder for ``trajectory.traj`` (exact), ``log.csv``, ``final.extxyz``, ``md.png``,
        ``settings.yaml`` and ``result.json``; nothing is written without it. When a guard stops
        the run, ``offending.extxyz`` takes the place of ``final.extxyz``.
    progress : bool
        Show a progress bar, and a table at the end.
    overwrite : bool
        Replace the files of an earlier run in ``output``.
    inputs : mapping, optional
        What else the run was started from, written into ``settings.yaml``.

    Returns
    -------
    MDResult
        ``completed`` is False, and ``reason`` says why, when a guard or the user (Ctrl-C)
        stopped the run.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    ValueError
        If structure and ensemble do not fit each other.
    """
    settings = settings or MDSettings()
    ensemble = ENSEMBLES[settings.ensemble]
    folder = None if output is None else check_folder(output, overwrite=overwrite)
    atoms = _with_calculator(atoms, calculator)
    ensemble.check(atoms, settings.ensemble)
    rng = np.random.default_rng(settings.seed)
    drawn = not atoms.get_momenta().any()
    if drawn:
        draw_velocities(atoms, settings.temperature_K, rng)
    number = degrees_of_freedom(atoms, ensemble.conserves_momentum)
    # The first evaluation finds what is wrong with the structure before any file is made.
    atoms.get_forces()
    if folder is not None:
        start_folder(folder, {**(inputs or {}), **asdict(settings)}, FILES)
    dynamics = ensemble.build(atoms, settings, rng, number)
    with _recorder(dynamics, ensemble, number, settings, folder) as recorder:
        start = time.perf_counter()
        reason, stopped = _run(dynamics, recorder, settings, progress)
        wall_time = time.perf_counter() - start
    log = recorder.columns()
    result = MDResult(
        completed=dynamics.nsteps == settings.steps and not stopped,
        reason=reason,
        steps=dynamics.nsteps,
        wall_time=wall_time,
        timestep_fs=settings.timestep_fs,
        degrees_of_freedom=number,
        initial_velocities="drawn" if drawn else "structure",
        averages=averages(log, settings.equilibration_steps),
        drift_meV_per_atom_per_ps=drift(log, settings.equilibration_steps, len(atoms)),
        log=log,
        atoms=atoms,
        output=folder,
    )
    if folder is not None:
        _write(folder, result, settings, OFFENDING_FILE if stopped else FINAL_FILE)
    if progress:
        report.show(result, settings)
    return result


def _with_calculator(atoms: Atoms, calculator: Any) -> Atoms:
    """A copy of the atoms with the calculator, loaded first if it is a name."""
    if isinstance(calculator, str | os.PathLike):
        from ase_geomformer.calculator import PotentialCalculator

        calculator = PotentialCalculator(calculator)
    if len(atoms) == 0:
        raise ValueError("the structure has no atoms; give an Atoms object with at least one")
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms


@contextmanager
def _recorder(
    dynamics: MolecularDynamics,
    ensemble: Ensemble,
    number: int,
    settings: MDSettings,
    folder: Path | None,
) -> Iterator[Recorder]:
    """Attach guards, log and trajectory, in this order, and close the files at the end."""
    from ase.io.trajectory import Trajectory

    recorder = Recorder(dynamics, ensemble, number, folder / LOG_FILE if folder else None)
    dynamics.attach(lambda: guards.check(dynamics.atoms, dynamics.nsteps), 1)
    dynamics.attach(recorder, settings.log_interval)
    if folder is None:
        yield recorder
        return
    with Trajectory(str(folder / TRAJECTORY_FILE), "w", dynamics.atoms) as trajectory:
        dynamics.attach(trajectory.write, settings.trajectory_interval)
        try:
            yield recorder
        finally:
            recorder.close()


def _run(
    dynamics: MolecularDynamics, recorder: Recorder, settings: MDSettings, progress: bool
) -> tuple[str, bool]:
    """Make the steps; why the run ended, and whether a guard stopped it."""
    with report.progress_bar(dynamics, recorder, settings, progress) as advance:
        dynamics.attach(advance, 1)
        try:
            dynamics.run(settings.steps)
        except guards.RunStopped as stop:
            return str(stop), True
        except KeyboardInterrupt:
            return f"interrupted at step {dynamics.nsteps}", False
    return f"all {settings.steps} steps made", False


def _write(folder: Path, result: MDResult, settings: MDSettings, structure_file: str) -> None:
    from ase.io import write

    from ase_geomformer.md.figure import plot

    with atomic_file(folder / structure_file) as temporary:
        write(temporary, result.atoms, format="extxyz")
    if result.log:
        with atomic_file(folder / FIGURE_FILE) as temporary:
            plot(result.log, settings).savefig(temporary, dpi=160)
    origin = provenance(result.atoms.calc, seed=settings.seed)
    write_result(folder, {**result.summary(), "provenance": origin})
