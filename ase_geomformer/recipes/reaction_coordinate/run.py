"""Intrinsic reaction coordinates: from a saddle point to its profile and its files."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.modes.derivatives import curvature
from ase_geomformer.recipes.reaction_coordinate import figure
from ase_geomformer.recipes.reaction_coordinate.descent import DESCEND, Side, descend
from ase_geomformer.recipes.reaction_coordinate.result import IRCResult
from ase_geomformer.recipes.reaction_coordinate.settings import IRCSettings
from ase_geomformer.recipes.relaxation.run import relax
from ase_geomformer.recipes.relaxation.settings import RelaxSettings
from ase_geomformer.recipes.transition_state.refinement import Saddle, refine_saddle, signed
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.report import Advance

POINTS_FILE = "points.npz"
PATH_FILE = "path.traj"
ENDS_FILE = "ends.extxyz"
SADDLE_FILE = "saddle.extxyz"
ARRAYS_FILE = "irc.npz"
FIGURE_FILE = "irc.png"
FILES = (POINTS_FILE, PATH_FILE, ENDS_FILE, SADDLE_FILE, ARRAYS_FILE, FIGURE_FILE)
# What a resumed run may ask for otherwise than before.
FREE = ("points", "fmax", "relax_ends", "ends_fmax", "checkpoint_interval")
NAMES = ("backward", "forward")
# A side is near its minimum where the force is below the limit and this share of its largest.
_PAST_THE_SLOPE = 0.5


@takes_pymatgen()
def irc(
    atoms: Atoms,
    potential: PotentialLike,
    settings: IRCSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> IRCResult:
    """Follow the reaction coordinate from a saddle point down to the minima on both sides.

    The path of steepest descent in mass-weighted coordinates (K. Fukui, Acc. Chem. Res. 14, 363
    (1981)), by the scheme of Gonzalez and Schlegel; both sides are evaluated together.

    Parameters
    ----------
    atoms : ase.Atoms
        A saddle point, such as one of :func:`~ase_geomformer.recipes.saddle` or of
        :func:`~ase_geomformer.recipes.neb`, or a structure near one; left as it is.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : IRCSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``points.npz``,
        ``path.traj`` (the path, with energies), ``saddle.extxyz``, ``ends.extxyz`` (both minima),
        ``irc.npz``, ``irc.png``, ``settings.yaml`` and ``result.json``. A resumed run starts from
        the last points there.

    Returns
    -------
    IRCResult

    Raises
    ------
    ValueError
        If the structure is no saddle point with one imaginary mode, or a constraint cannot be
        honoured.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or IRCSettings()
    run = Run(potential, settings, **keywords)
    geometry(atoms)  # refuses positions that are not finite
    FreeDirections.of(atoms, DESCEND)
    run.foresee([atoms] * 2, settings.points)
    found = _saddle(atoms, run.evaluator, settings)
    folder = run.start(FILES, kept=(POINTS_FILE,), free=FREE)
    sides = _sides(found, run.evaluator, settings, folder)
    stopped = ""
    with run.bar("irc", None) as advance:
        try:
            _descend(sides, found, run.evaluator, settings, folder, advance)
        except KeyboardInterrupt:
            stopped = "interrupted"
    _save(folder, found, sides)
    result = _result(run, found, sides, settings, stopped)
    _write(folder, result)
    return run.finish(result, f"Reaction coordinate of {atoms.get_chemical_formula()}")


def _saddle(atoms: Atoms, evaluate: Evaluator, settings: IRCSettings) -> Saddle:
    """The saddle point, checked to be one."""
    found = refine_saddle(
        atoms,
        evaluate,
        fmax=settings.saddle_fmax if settings.refine else np.inf,
        steps=settings.saddle_steps if settings.refine else 0,
        method=settings.hessian,
        step_A=settings.step_A,
    )
    if not found.converged or found.modes is None:
        raise ValueError(
            f"no saddle point was found near the structure: the largest force is "
            f"{found.fmax_eV_per_A:.2e} eV/Å after {found.steps} steps; search it with saddle first"
        )
    if not found.is_transition_state:
        raise ValueError(
            f"the structure has {len(found.modes.imaginary)} imaginary modes, and a reaction "
            "coordinate starts from a saddle point with one; search it with saddle first"
        )
    return found


def _sides(
    found: Saddle, evaluate: Evaluator, settings: IRCSettings, folder: RunFolder
) -> list[Side]:
    """Both sides at the saddle point, or where the run to resume left them."""
    free = FreeDirections.of(found.atoms, DESCEND)
    count, freedom = len(found.atoms), len(free.atoms)
    shapes: dict[str, tuple[int, ...]] = {"saddle_A": (count, 3)}
    for name in NAMES:
        shapes |= {
            f"{name}_points_A": (-1, count, 3),
            f"{name}_energies_eV": (-1,),
            f"{name}_fmax_eV_per_A": (-1,),
            f"{name}_corrections": (-1,),
            f"{name}_forces_eV_per_A": (count, 3),
            f"{name}_curvature": (freedom, freedom),
        }
    kept = folder.load_arrays(POINTS_FILE, shapes)
    if kept and np.abs(kept["saddle_A"] - found.atoms.positions).max() > 1e-3:
        raise ValueError(
            f"the run to resume in {folder.path} starts from another saddle point; give the same "
            "structure, or start a new run in another folder"
        )
    if kept:
        return [_side_of(found.atoms, settings.stride, kept, name) for name in NAMES]
    matrix, _ = curvature(evaluate, found.atoms, method=settings.hessian, step_A=settings.step_A)
    roots = np.sqrt(found.atoms.get_masses()[free.atoms])
    weighted = matrix / np.outer(roots, roots)
    return [Side(found.atoms.copy(), settings.stride, weighted.copy()) for _ in NAMES]


def _side_of(atoms: Atoms, stride: float, kept: dict[str, Any], name: str) -> Side:
    side = Side(
        atoms.copy(),
        stride,
        kept[f"{name}_curvature"],
        points=list(kept[f"{name}_points_A"]),
        energies=kept[f"{name}_energies_eV"].tolist(),
        fmax=kept[f"{name}_fmax_eV_per_A"].tolist(),
        corrections=kept[f"{name}_corrections"].tolist(),
        forces=kept[f"{name}_forces_eV_per_A"],
    )
    if side.points:
        side.atoms.positions = side.points[-1]
    return side


def _descend(
    sides: list[Side],
    found: Saddle,
    evaluate: Evaluator,
    settings: IRCSettings,
    folder: RunFolder,
    advance: Advance,
) -> None:
    """Follow both sides to their ends."""
    assert found.modes is not None
    mode = signed(found.modes.vectors[0])
    for side in sides:
        _judge(side, found.energy_eV, settings)
    ways = (-mode, mode)
    while going := [place for place, side in enumerate(sides) if not side.ended]:
        for place in going:
            side = sides[place]
            if side.points and side.forces is not None:
                side.leave(side.forces)
            else:  # where there is no slope yet, the imaginary mode is the way
                side.leave(np.zeros_like(mode), side.free.along(ways[place]) * side.roots)
        descend([sides[place] for place in going], evaluate, settings.corrections)
        for place in going:
            _judge(sides[place], found.energy_eV, settings)
        made = max(len(side.points) for side in sides)
        advance(made, lambda: ", ".join(f"{side.fmax[-1]:.3f} eV/Å" for side in sides))
        if made % settings.checkpoint_interval == 0:
            _save(folder, found, sides)


def _judge(side: Side, saddle_energy: float, settings: IRCSettings) -> None:
    """See whether a side has come to its end."""
    if not side.points:
        return
    before = [saddle_energy, *side.energies][-2]
    if side.energies[-1] > before or side.turned_back:
        side.ended = "beyond"
    elif side.fmax[-1] <= min(settings.fmax, _PAST_THE_SLOPE * max(side.fmax)):
        side.ended = "minimum"
    elif len(side.points) >= settings.points:
        side.ended = "points"


def _save(folder: RunFolder, found: Saddle, sides: list[Side]) -> None:
    """Write the points, from which a run resumes."""
    arrays: dict[str, Any] = {"saddle_A": found.atoms.positions}
    count = len(found.atoms)
    for name, side in zip(NAMES, sides, strict=True):
        arrays |= {
            f"{name}_points_A": np.array(side.points).reshape(-1, count, 3),
            f"{name}_energies_eV": np.array(side.energies),
            f"{name}_fmax_eV_per_A": np.array(side.fmax),
            f"{name}_corrections": np.array(side.corrections, dtype=int),
            f"{name}_forces_eV_per_A": (
                np.zeros((count, 3)) if side.forces is None else side.forces
            ),
            f"{name}_curvature": side.curvature,
        }
    folder.save_arrays(POINTS_FILE, arrays)


def _result(
    run: Run, found: Saddle, sides: list[Side], settings: IRCSettings, stopped: str
) -> IRCResult:
    # What lies beyond a minimum is no part of the path.
    kept = [slice(0, len(side.points) - (side.ended == "beyond")) for side in sides]
    backward, forward = [side.points[part] for side, part in zip(sides, kept, strict=True)]
    points = [*backward[::-1], found.atoms.positions, *forward]
    down, up = [side.energies[part] for side, part in zip(sides, kept, strict=True)]
    energies = [*down[::-1], found.energy_eV, *up]
    forces = [side.fmax[part] for side, part in zip(sides, kept, strict=True)]
    images = []
    for positions, energy in zip(points, energies, strict=True):
        image = found.atoms.copy()
        image.positions = positions
        image.calc = SinglePointCalculator(image, energy=energy)
        images.append(image)
    problems = [stopped] if stopped else []
    for name, side in zip(NAMES, sides, strict=True):
        if side.ended == "points":
            problems.append(
                f"the {name} side has not come to a minimum in {settings.points} points"
            )
    ends, end_energies = [images[0], images[-1]], [energies[0], energies[-1]]
    if settings.relax_ends and not stopped:
        for index, name in enumerate(NAMES):
            relaxed = relax(
                ends[index], run.evaluator, RelaxSettings(fmax=settings.ends_fmax), progress=False
            )
            ends[index], end_energies[index] = relaxed.atoms, relaxed.energy
            if not relaxed.converged:
                problems.append(f"the {name} end did not relax: {relaxed.reason}")
    evaluations = sum(sum(side.corrections) for side in sides)
    fine = f"both sides came down to a minimum in {len(points)} points"
    return IRCResult(
        **run.outcome(not problems, "; ".join(problems) or fine),
        saddle=found,
        images=images,
        coordinate=_coordinate(points, found.atoms.get_masses(), len(backward)),
        energies=np.array(energies) - found.energy_eV,
        fmax=np.array([*forces[0][::-1], found.fmax_eV_per_A, *forces[1]]),
        ends=ends,
        end_energies=np.array(end_energies) - found.energy_eV,
        evaluations=evaluations,
    )


def _coordinate(points: list[np.ndarray], masses: np.ndarray, saddle: int) -> np.ndarray:
    """Mass-weighted length along the path, zero at the saddle point (points,)."""
    ways = np.diff(np.array(points), axis=0) * np.sqrt(masses)[:, None]
    lengths = np.concatenate([[0.0], np.linalg.norm(ways, axis=(1, 2)).cumsum()])
    found: np.ndarray = lengths - lengths[saddle]
    return found


def _write(folder: RunFolder, result: IRCResult) -> None:
    assert result.saddle.modes is not None
    folder.save_atoms(PATH_FILE, result.images)
    folder.save_atoms(SADDLE_FILE, result.saddle.atoms)
    folder.save_atoms(ENDS_FILE, result.ends)
    folder.save_arrays(
        ARRAYS_FILE,
        {
            "coordinate_A_sqrt_amu": result.coordinate,
            "energies_above_saddle_eV": result.energies,
            "fmax_eV_per_A": result.fmax,
            "saddle_frequencies_per_cm": result.saddle.modes.frequencies_per_cm,
            "saddle_modes": result.saddle.modes.vectors,
        },
    )
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result))
