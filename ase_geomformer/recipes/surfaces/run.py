"""Surface energies: from a crystal and a potential to slabs, a straight line and files."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from ase import Atoms, units

from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.crystals import BULK_FILE, free_crystal, stored_start
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS
from ase_geomformer.recipes.relaxation.store import FINISHED_FILE, RelaxStore
from ase_geomformer.recipes.surfaces import figure
from ase_geomformer.recipes.surfaces.result import SurfaceResult, Termination
from ase_geomformer.recipes.surfaces.settings import SurfaceSettings
from ase_geomformer.recipes.surfaces.slabs import Cut, cuts, primitive, slab, stacked
from ase_geomformer.runs.folder import FINAL_FILES
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

SLABS_FILE = "slabs.traj"
FIGURE_FILE = "surface.png"
# What a resumed run needs.
KEPT = (BULK_FILE, FINISHED_FILE)
# One eV/Å^2 in J/m^2.
J_PER_M2 = units.m**2 / units.J


@takes_pymatgen()
def surface(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: SurfaceSettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> SurfaceResult:
    """Energies of the surfaces that a crystal has along one plane.

    The crystal is parted between all its planes of atoms that differ, into slabs of whole periods,
    so that each has the composition of the crystal. E(n) = n E(bulk) + 2 A gamma is fitted to the
    energies of slabs of n periods, which does without a separate energy of the crystal (V.
    Fiorentini, M. Methfessel, J. Phys. Condens. Matter 8, 6525 (1996)). Where both faces of a slab
    differ, the energy is their mean, and named so; those of a single polar face, or of slabs that
    are not stoichiometric, need a chemical potential.

    Parameters
    ----------
    atoms : ase.Atoms or path
        The crystal, in any cell; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : SurfaceSettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``slabs.traj`` (all
        slabs), ``final.extxyz`` and ``final.traj`` (the thickest slab of lowest energy),
        ``surface.png``, ``settings.yaml`` and ``result.json``. A run that was killed resumes with
        the slabs that were not finished (``bulk.jsonl``, ``finished.jsonl``).

    Returns
    -------
    SurfaceResult

    Raises
    ------
    ValueError
        If the structure is no crystal.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or SurfaceSettings()
    run = Run(potential, settings, **keywords)
    start = free_crystal(as_structure(atoms), run, "a surface")
    start, indices = primitive(start, settings.miller, settings.symprec_A)
    run.foresee([start] * settings.thicknesses, USUAL_STEPS)
    folder = run.start((*KEPT, SLABS_FILE, *FINAL_FILES, FIGURE_FILE), kept=KEPT)
    problems: list[str] = []
    if settings.relax_bulk:
        start, problems = stored_start(start, run, settings.of_bulk)
    (of_bulk,) = run.evaluator([start], ("energy",))
    bulk_energy = float(of_bulk["energy"]) / len(start)
    found = cuts(start, indices, settings.plane_A)
    repeats = _repeats(start, indices, settings)
    slabs = [
        slab(start, indices, cut, number, settings.vacuum_A) for cut in found for number in repeats
    ]
    store = RelaxStore(folder.file(FINISHED_FILE), slabs)
    how = settings.of_atoms if settings.relax_slabs else settings.of_atoms_as_they_are
    with run.bar("slabs", len(slabs), len(store.finished)) as advance:
        relaxed = relax_all(slabs, run.evaluator, how, advance, store)
    terminations = []
    for place, cut in enumerate(found):
        part = slice(place * len(repeats), (place + 1) * len(repeats))
        one = _termination(cut, relaxed[part], slabs[part], bulk_energy, settings)
        terminations.append(one)
        if not one.converged:
            problems.append(f"not all slabs {cut.name} relaxed")
    terminations.sort(key=lambda one: one.energy_J_per_m2)
    fine = f"{len(found)} terminations, {len(slabs)} slabs"
    result = SurfaceResult(
        **run.outcome(not problems, "; ".join(problems) or fine),
        miller=list(settings.miller),
        terminations=terminations,
        area_A2=_area(slabs[0]),
        bulk=start,
        bulk_energy_eV=bulk_energy,
    )
    folder.save_atoms(SLABS_FILE, [one.atoms for one in relaxed])
    folder.save_final(terminations[0].slabs[-1])
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result))
    return run.finish(result, f"Surface of {start.get_chemical_formula()}")


def _repeats(crystal: Atoms, indices: tuple[int, ...], settings: SurfaceSettings) -> list[int]:
    """Numbers of periods of the slabs."""
    period = float(stacked(crystal, indices, 1).cell.array[2, 2])
    fewest = max(1, int(np.ceil(settings.min_thickness_A / period)))
    return [fewest + more for more in range(settings.thicknesses)]


def _area(atoms: Atoms) -> float:
    return float(np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))


def _termination(
    cut: Cut,
    relaxed: list[RelaxResult],
    slabs: list[Atoms],
    bulk_energy: float,
    settings: SurfaceSettings,
) -> Termination:
    counts = np.array([len(atoms) for atoms in slabs], dtype=float)
    energies = np.array([one.energy for one in relaxed])
    to_surface = J_PER_M2 / (2.0 * _area(slabs[0]))
    # Relative to the crystal, so that no digits are lost.
    excess = energies - counts * bulk_energy
    error = None
    if len(counts) > 2:
        (slope, height), covariance = np.polyfit(counts, excess, 1, cov="unscaled")
        scatter = excess - slope * counts - height
        variance = float(scatter @ scatter) / (len(counts) - 2)
        error = float(np.sqrt(variance * covariance[1, 1])) * to_surface
    else:
        slope, height = np.polyfit(counts, excess, 1)
    return Termination(
        cut=cut,
        energy_J_per_m2=float(height) * to_surface,
        error_J_per_m2=error,
        thickness_A=np.array([float(np.ptp(atoms.positions[:, 2])) for atoms in slabs]),
        by_thickness_J_per_m2=excess * to_surface,
        bulk_energy_eV=bulk_energy + float(slope),
        slabs=[one.atoms for one in relaxed],
        converged=not settings.relax_slabs
        or all(one.converged and one.damage is None for one in relaxed),
    )
