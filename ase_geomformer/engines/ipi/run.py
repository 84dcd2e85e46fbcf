"""Path-integral molecular dynamics: from atoms, a potential and settings to a run's files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ase import Atoms

from ase_geomformer.engines.ipi import inputs as written
from ase_geomformer.engines.ipi import restart
from ase_geomformer.engines.ipi.figure import plot
from ase_geomformer.engines.ipi.output import BEADS_FILE, TRAJECTORY_FILE, Output
from ase_geomformer.engines.ipi.result import PathIntegralResult, heat_capacity
from ase_geomformer.engines.ipi.settings import PathIntegralSettings
from ase_geomformer.engines.ipi.simulation import RingPolymer
from ase_geomformer.evaluate import Evaluator, as_evaluator
from ase_geomformer.md.output import LOG_FILE, RESTART_FILE
from ase_geomformer.md.result import averages, drift, suggested_equilibration
from ase_geomformer.runs.folder import FINAL_FILES, RunFolder
from ase_geomformer.runs.report import progress_bar, show
from ase_geomformer.runtime import evaluation

FIGURE_FILE = "pimd.png"
# The restart file first: what is left of a run that is only half removed cannot be resumed.
FILES = (
    RESTART_FILE, LOG_FILE, TRAJECTORY_FILE, BEADS_FILE, written.INPUT_FILE,
    written.STRUCTURE_FILE, FIGURE_FILE, *FINAL_FILES,
)  # fmt: skip


def path_integrals(
    atoms: Atoms,
    potential: Any,
    settings: PathIntegralSettings | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
    compile_if_long: bool = False,
) -> PathIntegralResult:
    """Run path-integral molecular dynamics by i-PI, all replicas of a step in one evaluation.

    i-PI works in this process. A run in a folder can be resumed, to the bit, from the last
    ``restart.npz``, also to more steps.

    Parameters
    ----------
    atoms : ase.Atoms
        Starting structure of all replicas; left as it is. Its masses, isotopes included, are those
        of the run.
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64.
    settings : PathIntegralSettings, optional
    output : path, optional
        Folder for ``log.csv``, ``trajectory.traj`` (centroids), ``beads.traj``, ``restart.npz``,
        ``final.extxyz``, ``pimd.png``, ``settings.yaml``, ``result.json`` and, for a potential by
        its name, ``input.xml``, which i-PI runs by itself; nothing is written without it.
    resume : bool
        Resume the run in ``output``, or start it if there is none yet.
    overwrite : bool
        Replace the files of an earlier run in ``output``.
    progress : bool
        Show a progress bar, and a table at the end.
    inputs : mapping, optional
        What else the run was started from, written into ``settings.yaml``.
    compile_if_long : bool
        Compile the potential first if the run is predicted to save more time than that takes.

    Returns
    -------
    PathIntegralResult
        ``completed`` is False, and ``reason`` says why, when an evaluation failed or the user
        (Ctrl-C) stopped the run.

    Raises
    ------
    ImportError
        If i-PI is not installed.
    ValueError
        If the atoms have constraints, or a resumed run is given another structure or settings.
    """
    _require_ipi()
    settings, inputs = settings or PathIntegralSettings(), dict(inputs or {})
    folder = RunFolder(
        output, resume=resume, overwrite=overwrite, checkpoint=RESTART_FILE, own=FILES
    )
    if atoms.constraints:
        raise ValueError(
            "constraints are not passed on to i-PI, whose estimates count all atoms; remove them"
        )
    evaluator: Evaluator = as_evaluator(potential)
    if isinstance(potential, str | os.PathLike):
        evaluator = as_evaluator(potential, dtype="float64")
        inputs.setdefault("potential", os.fspath(potential))
    if settings.heat_capacity and evaluator.calculator.parameters.get("dtype") == "float32":
        raise ValueError(
            "heat_capacity takes finite differences of energies: evaluate with dtype float64"
        )
    checkpoint = None
    if folder.resumed and folder.path is not None:
        checkpoint = restart.load(folder.path / RESTART_FILE, atoms, settings)
        folder.check_settings(settings, inputs=inputs, free=restart.free(settings))
        evaluator = evaluation.as_before(evaluator, atoms, checkpoint.facts.evaluation)
    elif compile_if_long:
        evaluator = evaluation.compile_if_long(evaluator, [atoms] * settings.beads, settings.steps)
    polymer = RingPolymer(atoms, evaluator, settings)
    kept = (RESTART_FILE, LOG_FILE, TRAJECTORY_FILE, BEADS_FILE)
    folder.start({**inputs, **asdict(settings)}, files=FILES, kept=kept)
    named = inputs.get("potential")
    if folder.path is not None and isinstance(named, str):
        written.write_input(folder.path, atoms, named, settings)
    if checkpoint:
        polymer.restore(checkpoint.state, checkpoint.facts.step)
    files = Output(polymer, folder, evaluation.evaluation_of(evaluator, atoms), checkpoint)
    try:
        reason, error = _run(polymer, files, progress, begins=checkpoint is None)
        result = _result(polymer, files, folder, reason, error)
    finally:
        files.close()
    if folder.path is not None:
        folder.save_final(polymer.centroids() if error is None else polymer.start)
        if result.log:
            folder.save_figure(FIGURE_FILE, lambda: plot(result.log, atoms, settings))
    folder.write_result(result, evaluator.calculator, seed=settings.seed, atoms=atoms)
    if progress:
        show(result, _title(result, settings))
    return result


def _require_ipi() -> None:
    try:
        import ipi.engine.simulation  # noqa: F401
    except ImportError as error:
        raise ImportError(f"i-PI is needed ({error}): pip install 'ase-geomformer[ipi]'") from error


def _run(
    polymer: RingPolymer, files: Output, progress: bool, *, begins: bool
) -> tuple[str, Exception | None]:
    """Make the steps; why the run ended, and the error that stopped it."""
    settings, first, began = polymer.settings, polymer.step, time.perf_counter()

    def text() -> str:
        rate = (polymer.step - first) / (time.perf_counter() - began)
        return f"{polymer.temperature_K:5.0f} K {rate * settings.beads:.3g} beads/s"

    with progress_bar(settings.method, settings.steps, progress, done=first) as advance:
        try:
            if begins:
                files.record()
                files.checkpoint()
            while polymer.step < settings.steps:
                polymer.advance()
                files.record()
                if polymer.step % settings.checkpoint_interval == 0:
                    files.checkpoint()
                advance(polymer.step, text)
        except KeyboardInterrupt:
            return f"interrupted at step {polymer.step}", None
        except (OSError, MemoryError):
            raise
        except Exception as error:  # of the calculator
            return f"stopped at step {polymer.step} by {type(error).__name__}: {error}", error
        if polymer.step % settings.checkpoint_interval:
            files.checkpoint()
    return f"all {settings.steps} steps made", None


def _result(
    polymer: RingPolymer, files: Output, folder: RunFolder, reason: str, error: Exception | None
) -> PathIntegralResult:
    settings, log = polymer.settings, files.log.columns()
    skipped = settings.equilibration_steps
    return PathIntegralResult(
        completed=polymer.step == settings.steps and error is None,
        reason=reason,
        steps=polymer.step,
        wall_time=files.wall_time,
        timestep_fs=settings.timestep_fs,
        degrees_of_freedom=3 * len(polymer.start),
        initial_velocities="drawn",
        averages=averages(log, skipped),
        drift_meV_per_atom_per_ps=drift(log, skipped, len(polymer.start)),
        log=log,
        atoms=polymer.centroids() if error is None else polymer.start,
        equilibration_steps=skipped,
        suggested_equilibration_steps=suggested_equilibration(log),
        output=folder.path,
        error=error,
        beads=settings.beads,
        method=settings.method,
        temperature_target_K=settings.temperature_K,
        heat_capacity_kB=heat_capacity(log, settings.temperature_K, skipped),
    )


def _title(result: PathIntegralResult, settings: PathIntegralSettings) -> str:
    return (
        f"{result.atoms.get_chemical_formula()}, {settings.method} of {settings.beads} beads, "
        f"{result.steps * settings.timestep_fs / 1000.0:g} ps in steps of "
        f"{settings.timestep_fs:g} fs"
    )
