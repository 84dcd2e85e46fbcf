"""Relaxation of a structure to its nearest minimum."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ase import Atoms

from ase_geomformer.recipes.base import PotentialLike, recipe_evaluator
from ase_geomformer.recipes.relaxation.figure import plot
from ase_geomformer.recipes.relaxation.minimizer import Relaxation
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.resume import Frames, Replay, read_frames
from ase_geomformer.recipes.relaxation.settings import RelaxSettings
from ase_geomformer.runs import report
from ase_geomformer.runs.folder import open_folder

TRAJECTORY_FILE = "trajectory.traj"
FINAL_FILE = "final.extxyz"
FIGURE_FILE = "relax.png"
# What a resumed run may ask for otherwise than before.
FREE = ("steps", "fmax", "smax_GPa")


def relax(
    atoms: Atoms,
    potential: PotentialLike,
    settings: RelaxSettings | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
) -> RelaxResult:
    """Relax a structure, and its cell if asked, to a minimum of the energy or enthalpy.

    The atoms' constraints are honoured. Whether the relaxation converged is measured on the
    forces and the stress of the last structure.

    A run in a folder can be resumed, after it was killed or with more steps or tighter limits: it
    is made again from the start with the results in its trajectory, which costs no evaluation,
    and so goes on as if it had never stopped, to the rounding of the potential.

    Parameters
    ----------
    atoms : ase.Atoms
        Left as they are.
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64.
    settings : RelaxSettings, optional
    output : path, optional
        Folder for ``trajectory.traj`` (every step), ``final.extxyz``, ``relax.png``,
        ``settings.yaml`` and ``result.json``; nothing is written without it.
    resume : bool
        Go on with the run in ``output``, or begin it if there is none.
    overwrite : bool
        Replace the files of an earlier run in ``output``.
    progress : bool
        Show a progress bar, and a table at the end.
    inputs : mapping, optional
        What else the run was started from, written into ``settings.yaml``.

    Returns
    -------
    RelaxResult
        ``damage`` tells of a structure that exploded, collapsed or dissociated.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    ValueError
        If structure and settings do not fit each other, or a run is resumed with another
        structure, potential or settings.
    """
    started = time.perf_counter()
    settings = settings or RelaxSettings()
    calculator = recipe_evaluator(potential).calculator
    relaxation = Relaxation(atoms, settings)
    relaxation.atoms.calc = calculator
    relaxation.atoms.get_forces()  # finds what is wrong with the structure before any file is made
    folder = open_folder(
        output,
        settings,
        inputs=inputs,
        files=(TRAJECTORY_FILE, FINAL_FILE, FIGURE_FILE),
        kept=(TRAJECTORY_FILE,),
        free=FREE,
        resume=resume,
        overwrite=overwrite,
    )
    path = folder.file(TRAJECTORY_FILE)
    frames = read_frames(path) if path is not None and folder.resumed else []
    _check_same_structure(relaxation.atoms, frames)
    relaxation.atoms.calc = Replay(calculator, frames)
    files = None if path is None else Frames(path, len(frames))
    _run(relaxation, files, progress)
    result = relaxation.result(time.perf_counter() - started, folder.path)
    folder.save_atoms(FINAL_FILE, result.atoms)
    folder.save_figure(FIGURE_FILE, lambda: plot(result.history, settings))
    folder.write_result(result, calculator)
    if progress:
        report.show(result, f"{result.atoms.get_chemical_formula()}, relaxed", rows(result))
    return result


def _run(relaxation: Relaxation, files: Frames | None, progress: bool) -> None:
    """Observe, write and make steps until there is nothing more to do."""
    with report.progress_bar("relax", relaxation.settings.steps, progress) as advance:
        while True:
            relaxation.observe()
            advance(relaxation.steps, f"{relaxation.fmax:.2e} eV/Å")
            if files is not None:
                files.write(relaxation.steps, relaxation.frame())
            if relaxation.done:
                return
            relaxation.advance()


def _check_same_structure(atoms: Atoms, frames: list[Atoms]) -> None:
    if frames and not (
        len(frames[0]) == len(atoms)
        and (frames[0].numbers == atoms.numbers).all()
        and abs(frames[0].positions - atoms.positions).max() < 1e-8
        and abs(frames[0].cell.array - atoms.cell.array).max() < 1e-8
    ):
        raise ValueError(
            f"the run to resume began with another structure ({frames[0].symbols}) than the one "
            f"given ({atoms.symbols}); give the same one, or start a new run"
        )


def rows(result: RelaxResult) -> list[tuple[str, str, str]]:
    """Lines of the table that a user sees."""
    found = [
        ("energy", f"{result.energy:.6f}", "eV"),
        ("steps", f"{result.steps} ({result.optimizer})", ""),
        ("largest force", f"{result.fmax:.2e}", "eV/Å"),
    ]
    if result.smax_GPa is not None:
        found.append(("largest stress", f"{result.smax_GPa:.2e}", "GPa"))
        lengths = result.atoms.cell.lengths()
        found.append(("lattice", " ".join(f"{length:.4f}" for length in lengths), "Å"))
    if result.space_group_before is not None:
        found.append(
            ("space group", f"{result.space_group_before} → {result.space_group_after}", "")
        )
    if result.damage is not None:
        found.append(("damage", f"[bold red]{result.damage}[/]", ""))
    return found
