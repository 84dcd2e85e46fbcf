"""Transition states: from one structure and a potential to a saddle point and its files."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic

from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.interpolation import is_free_molecule
from ase_geomformer.recipes.transition_state import figure
from ase_geomformer.recipes.transition_state.optimizers import check_sella
from ase_geomformer.recipes.transition_state.refinement import Saddle
from ase_geomformer.recipes.transition_state.result import SaddleResult
from ase_geomformer.recipes.transition_state.search import CLIMB, SEARCH_FILE, RanAway, Search
from ase_geomformer.recipes.transition_state.settings import SaddleSettings
from ase_geomformer.runs.folder import FINAL_FILES, RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen

PATH_FILE = "search.traj"
ARRAYS_FILE = "saddle.npz"
FIGURE_FILE = "saddle.png"
FILES = (SEARCH_FILE, PATH_FILE, ARRAYS_FILE, FIGURE_FILE, *FINAL_FILES)
# What a resumed run may ask for otherwise than before.
FREE = ("steps", "fmax", "vibrational_check", "checkpoint_interval")
# Å; a structure to move towards must be at least this far away.
SAME = 0.01


@takes_pymatgen()
def saddle(
    atoms: Atoms,
    potential: PotentialLike,
    settings: SaddleSettings | None = None,
    *,
    towards: Atoms | None = None,
    **keywords: Unpack[RunKeywords],
) -> SaddleResult:
    """Find the transition state near a structure.

    From a minimum, or from a guess, one direction is followed uphill and all others downhill: a
    vibration, or the path to another structure, from whose highest point the search starts. The
    saddle point is then checked to have
    exactly one imaginary mode. :func:`~ase_geomformer.recipes.irc` tells which minima it connects.

    Parameters
    ----------
    atoms : ase.Atoms
        Left as it is. Constraints that hold single atoms in fixed directions are honoured.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : SaddleSettings, optional
    towards : ase.Atoms, optional
        A structure with the same atoms in the same order, such as a rough product. The search
        starts from the highest of nine structures in between.
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``search.npz`` and
        ``search.traj`` (all steps), ``final.extxyz``, ``final.traj``, ``saddle.npz`` (modes),
        ``saddle.png``, ``settings.yaml`` and ``result.json``. A resumed run starts from the last
        step there.

    Returns
    -------
    SaddleResult

    Raises
    ------
    ValueError
        If a constraint cannot be honoured, or ``towards`` has other atoms or is the same.
    ImportError
        If ``method`` is sella, and that is not installed.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or SaddleSettings()
    run = Run(potential, settings, **keywords)
    geometry(atoms)  # refuses positions that are not finite
    atoms = atoms.copy()
    FreeDirections.of(atoms, CLIMB)
    if settings.method == "sella":
        check_sella(atoms)
    other = None if towards is None else _placed(atoms, towards)
    run.evaluator([atoms], ("energy", "forces"))  # what is wrong comes out now
    run.foresee([atoms], settings.steps)
    folder = run.start(FILES, kept=(SEARCH_FILE,), free=FREE)
    with run.bar("saddle", settings.steps) as advance:
        search = Search(atoms, run.evaluator, settings, folder, advance, other)
        search.resume()
        stopped = ""
        try:
            found = search.run()
        except (KeyboardInterrupt, RanAway) as stop:
            found, stopped = search.as_it_is(), str(stop) or "interrupted"
            search.save()
    converged, reason = _verdict(found, search, stopped)
    result = SaddleResult(
        **run.outcome(converged, reason),
        saddle=found,
        method=search.method,
        positions=np.array(search.positions),
        energies=np.array(search.energies),
        fmax=np.array(search.fmax),
    )
    _write(folder, result, settings)
    return run.finish(result, f"Transition state of {atoms.get_chemical_formula()}")


def _placed(atoms: Atoms, towards: Atoms) -> Atoms:
    """The structure to move towards: every atom next to where it is, and what is held in place."""
    geometry(towards)
    if not np.array_equal(atoms.numbers, towards.numbers):
        raise ValueError(
            f"towards is {towards.symbols} and the structure is {atoms.symbols}; both must have "
            "the same atoms in the same order"
        )
    other = atoms.copy()
    other.positions = towards.positions
    if is_free_molecule(atoms):
        minimize_rotation_and_translation(atoms, other)
    way = other.positions - atoms.positions
    if atoms.pbc.any():
        way, _ = find_mic(way, atoms.cell, atoms.pbc)
    free = FreeDirections.of(atoms, CLIMB)
    way = free.displacements(free.along(way))
    longest = float(np.linalg.norm(way, axis=1).max())
    if longest < SAME:
        raise ValueError(
            f"no atom that may move is more than {longest:.3f} Å from where it is in towards; give "
            "another structure"
        )
    other.set_positions(atoms.positions + way, apply_constraint=False)
    return other


def _verdict(found: Saddle, search: Search, stopped: str) -> tuple[bool, str]:
    """Whether the search reached a transition state, and why, or why not."""
    steps = len(search.energies) - 1
    force = f"the largest force is {found.fmax_eV_per_A:.2e} eV/Å after {steps} steps"
    if stopped:
        return False, f"stopped at step {steps}: {stopped}; {force}"
    if not found.converged:
        return False, f"{force}, above fmax = {search.settings.fmax:g}"
    if found.modes is None:
        return True, f"{force}; the modes were not checked"
    imaginary = found.modes.frequencies_per_cm[found.modes.imaginary]
    listed = ", ".join(f"{-value:.1f}i" for value in imaginary) or "none"
    text = f"{force}; imaginary modes: {listed} cm^-1"
    if len(imaginary) == 1:
        return True, text
    return False, (
        f"{text}, and there must be one; start from another structure, mode or direction"
    )


def _write(folder: RunFolder, result: SaddleResult, settings: SaddleSettings) -> None:
    path = []
    for positions, energy in zip(result.positions, result.energies, strict=True):
        step = result.atoms.copy()
        step.positions = positions
        step.calc = SinglePointCalculator(step, energy=energy)
        path.append(step)
    folder.save_atoms(PATH_FILE, path)
    folder.save_final(result.atoms)
    modes = result.saddle.modes
    if modes is not None:
        folder.save_arrays(
            ARRAYS_FILE,
            {"frequencies_per_cm": modes.frequencies_per_cm, "modes": modes.vectors},
        )
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result, settings.fmax))
