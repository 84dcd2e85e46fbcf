"""Energy against volume, and what follows from it."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.crystals import free_crystal, relaxed_start
from ase_geomformer.recipes.equation_of_state.figure import plot
from ase_geomformer.recipes.equation_of_state.fit import EOSFit, fit_all
from ase_geomformer.recipes.equation_of_state.result import EOSResult
from ase_geomformer.recipes.equation_of_state.settings import EOSSettings
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS
from ase_geomformer.runs.folder import FINAL_FILES
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

SCAN_FILE = "scan.traj"
FIGURE_FILE = "eos.png"


@takes_pymatgen()
def eos(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: EOSSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> EOSResult:
    """Equation of state of a crystal: equilibrium volume, bulk modulus and its derivative.

    Parameters
    ----------
    atoms : ase.Atoms or path
        A crystal; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64.
    settings : EOSSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``scan.traj``,
        ``final.extxyz``, ``final.traj``, ``eos.png``, ``settings.yaml`` and ``result.json``.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    ValueError
        If the structure is no crystal.
    """
    atoms = as_structure(atoms)
    settings = settings or EOSSettings()
    run = Run(potential, settings, resumes=False, **keywords)
    start = free_crystal(atoms, run, "an equation of state")
    run.foresee([start] * settings.points, USUAL_STEPS)
    folder = run.start((SCAN_FILE, *FINAL_FILES, FIGURE_FILE))
    problems: list[str] = []
    with run.bar("volumes", settings.points) as advance:
        if settings.relax:
            start, problems = relaxed_start(start, run.evaluator, settings.first)
        scan = relax_all(_scaled(start, settings), run.evaluator, settings.at_volume, advance)
    if settings.relax_ions:
        problems += [
            f"volume {number}: {found.reason}"
            for number, found in enumerate(scan)
            if not found.converged
        ]
    volumes = np.array([found.atoms.get_volume() for found in scan])
    energies = np.array([found.energy for found in scan])
    fits = fit_all(volumes, energies)
    chosen = fits.get(settings.equation)
    problems += _fit_problems(chosen, volumes, settings.equation)
    result = EOSResult(
        **run.outcome(
            not problems,
            "; ".join(problems) or "all volumes relaxed, with the minimum among them",
        ),
        equation=settings.equation,
        fit=chosen,
        fits=fits,
        volumes=volumes,
        energies=energies,
        atoms=_at_minimum([found.atoms for found in scan], volumes, chosen),
    )
    folder.save_atoms(SCAN_FILE, [found.atoms for found in scan])
    folder.save_final(result.atoms)
    folder.save_figure(FIGURE_FILE, lambda: plot(result))
    return run.finish(
        result, f"{result.atoms.get_chemical_formula()}, equation of state {settings.equation}"
    )


def _scaled(start: Atoms, settings: EOSSettings) -> list[Atoms]:
    """The crystal at all volumes."""
    scaled = []
    for change in np.linspace(-1.0, 1.0, settings.points) * settings.volume_range:
        atoms = start.copy()
        atoms.set_cell(start.cell.array * (1.0 + change) ** (1.0 / 3.0), scale_atoms=True)
        scaled.append(atoms)
    return scaled


def _fit_problems(chosen: EOSFit | None, volumes: np.ndarray, equation: str) -> list[str]:
    if chosen is None:
        return [f"the energies have no minimum that {equation} could find; relax the cell first"]
    if not volumes.min() < chosen.volume_A3 < volumes.max():
        return [
            f"the minimum at {chosen.volume_A3:.3f} Å^3 is beyond the volumes from "
            f"{volumes.min():.3f} to {volumes.max():.3f} Å^3; relax the cell first or widen "
            "volume_range"
        ]
    return []


def _at_minimum(scan: list[Atoms], volumes: np.ndarray, chosen: EOSFit | None) -> Atoms:
    """The nearest structure of the scan, scaled to the fitted volume."""
    volume = chosen.volume_A3 if chosen else float(volumes[len(volumes) // 2])
    atoms = scan[int(np.abs(volumes - volume).argmin())].copy()
    atoms.set_cell(atoms.cell.array * (volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    return atoms
