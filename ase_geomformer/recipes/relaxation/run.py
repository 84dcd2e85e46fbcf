"""Relaxation of a structure to its nearest minimum."""

from __future__ import annotations

from typing import Unpack

from ase import Atoms

from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.relaxation.figure import plot
from ase_geomformer.recipes.relaxation.minimizer import Relaxation
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.resume import Replay, StoredFrames, read_frames
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS, RelaxSettings
from ase_geomformer.runs.folder import FINAL_FILES
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

TRAJECTORY_FILE = "trajectory.traj"
FIGURE_FILE = "relax.png"
# What a resumed run may ask for otherwise than before.
FREE = ("steps", "fmax", "smax_GPa")


@takes_pymatgen()
def relax(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: RelaxSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> RelaxResult:
    """Relax a structure, and its cell if asked, to a minimum of the energy or enthalpy.

    The atoms' constraints are honoured. Whether the relaxation converged is measured on the
    forces and the stress of the last structure.

    A run in a folder can be resumed, after it was killed or with more steps or tighter thresholds:
    its steps are repeated with the results in the trajectory, without evaluations, so that it
    continues as if it had never stopped, to the rounding of the potential.

    Parameters
    ----------
    atoms : ase.Atoms or path
        Left as they are.
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64.
    settings : RelaxSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`: ``output``, a folder for
        ``trajectory.traj`` (every step), ``final.extxyz``, ``final.traj`` (with all constraints),
        ``relax.png``, ``settings.yaml`` and ``result.json``; ``resume``,
        ``overwrite``, ``progress`` and ``inputs``.

    Returns
    -------
    RelaxResult
        ``damage`` tells of a structure that exploded, collapsed or dissociated.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    ValueError
        If the settings do not apply to the structure, or a run is resumed with another structure,
        potential or settings.
    """
    atoms = as_structure(atoms)
    settings = settings or RelaxSettings()
    run = Run(potential, settings, **keywords)
    relaxation = Relaxation(atoms, settings)
    relaxation.atoms.calc = run.evaluator.calculator
    relaxation.atoms.get_forces()  # finds what is wrong with the structure before any file is made
    run.foresee([relaxation.atoms], min(settings.steps, USUAL_STEPS))
    calculator = run.evaluator.calculator
    files = (TRAJECTORY_FILE, *FINAL_FILES, FIGURE_FILE)
    folder = run.start(files, kept=(TRAJECTORY_FILE,), free=FREE)
    path = folder.file(TRAJECTORY_FILE)
    frames = read_frames(path) if path is not None and folder.resumed else []
    _check_same_structure(relaxation.atoms, frames)
    relaxation.atoms.calc = Replay(calculator, frames)
    _minimize(run, relaxation, None if path is None else StoredFrames(path, len(frames)))
    result = relaxation.result(run.wall_time, run.folder.path)
    folder.save_final(result.atoms)
    folder.save_figure(FIGURE_FILE, lambda: plot(result.history, settings))
    return run.finish(result, f"{result.atoms.get_chemical_formula()}, relaxed")


def _minimize(run: Run, relaxation: Relaxation, files: StoredFrames | None) -> None:
    """Observe, write and make steps until there is nothing more to do."""
    with run.bar("relax", relaxation.settings.steps) as advance:
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
            f"the run to resume started from another structure ({frames[0].symbols}) than the one "
            f"given ({atoms.symbols}); give the same structure, or start a new run"
        )
