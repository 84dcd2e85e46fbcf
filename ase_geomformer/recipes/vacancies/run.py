"""Formation energies of vacancies: from a crystal to supercells with an atom less, and files."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.crystals import BULK_FILE, free_crystal, stored_start
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS
from ase_geomformer.recipes.relaxation.store import FINISHED_FILE, RelaxStore
from ase_geomformer.recipes.symmetry import conventional_cell, symmetry_dataset
from ase_geomformer.recipes.vacancies import figure
from ase_geomformer.recipes.vacancies.result import Vacancy, VacancyResult
from ase_geomformer.recipes.vacancies.settings import VacancySettings
from ase_geomformer.runs.folder import FINAL_FILES
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

VACANCIES_FILE = "vacancies.traj"
FIGURE_FILE = "vacancy.png"
# What a resumed run needs.
KEPT = (BULK_FILE, FINISHED_FILE)


@takes_pymatgen()
def vacancy(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: VacancySettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> VacancyResult:
    """Formation energies of the vacancies of a crystal, one for each kind of site.

    E(N - 1) - E(N) + mu, in supercells of N sites at the volume of the relaxed crystal. In an
    element, mu is the energy of an atom in the crystal. In a compound it is what you say; the
    Schottky energy, of vacancies whose atoms together build more of the crystal, needs none. Two
    sizes tell how much a vacancy feels of its images. Vacancies are neutral.

    Parameters
    ----------
    atoms : ase.Atoms or path
        The crystal, in any cell; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : VacancySettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``vacancies.traj``
        (all supercells with a vacancy), ``final.extxyz`` and ``final.traj`` (the largest one of
        lowest energy), ``vacancy.png``, ``settings.yaml`` and ``result.json``. A run that was
        killed resumes with the supercells that were not finished.

    Returns
    -------
    VacancyResult

    Raises
    ------
    ValueError
        If the structure is no crystal, or a name is of no element in it.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or VacancySettings()
    run = Run(potential, settings, **keywords)
    start = free_crystal(as_structure(atoms), run, "a vacancy")
    _check_elements(start, settings)
    start = conventional_cell(start, settings.symprec_A)
    run.foresee([_supercells(start, settings)[-1]] * 2, USUAL_STEPS)
    folder = run.start((*KEPT, VACANCIES_FILE, *FINAL_FILES, FIGURE_FILE), kept=KEPT)
    problems: list[str] = []
    if settings.relax_bulk:
        start, problems = stored_start(start, run, settings.of_bulk)
    supercells = _supercells(start, settings)
    of_cells = run.evaluator([start, *supercells], ("energy",))
    bulk_energy, *perfect = (float(one["energy"]) for one in of_cells)
    bulk_energy /= len(start)
    kinds = _kinds(start, settings)
    defects = [_without(cell, index) for index, _ in kinds for cell in supercells]
    store = RelaxStore(folder.file(FINISHED_FILE), defects)
    how = settings.of_atoms if settings.relax_atoms else settings.of_atoms_as_they_are
    with run.bar("vacancies", len(defects), len(store.finished)) as advance:
        relaxed = relax_all(defects, run.evaluator, how, advance, store)
    found = []
    for place, (index, site) in enumerate(kinds):
        part = relaxed[place * len(supercells) : (place + 1) * len(supercells)]
        one = _vacancy(start, index, site, part, np.array(perfect), bulk_energy, settings)
        found.append(one)
        if not one.converged:
            problems.append(f"not all supercells without {one.element} ({one.site}) relaxed")
    fine = f"{len(found)} kinds of sites, {len(defects)} supercells"
    result = VacancyResult(
        **run.outcome(not problems, "; ".join(problems) or fine),
        vacancies=found,
        sites=np.array([len(cell) for cell in supercells]),
        bulk=start,
        bulk_energy_eV=bulk_energy,
        schottky_energies_eV=_schottky(start, found, bulk_energy),
    )
    folder.save_atoms(VACANCIES_FILE, [one.atoms for one in relaxed])
    folder.save_final(min(found, key=lambda one: one.removal_energies_eV[-1]).structures[-1])
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result))
    return run.finish(result, f"Vacancies in {start.symbols.formula.reduce()[0]}")


def _check_elements(atoms: Atoms, settings: VacancySettings) -> None:
    given = {
        "elements": settings.elements or [],
        "chemical_potentials": settings.chemical_potentials or {},
    }
    for name, symbols in given.items():
        strange = sorted(set(symbols) - set(atoms.symbols))
        if strange:
            raise ValueError(
                f"{name} names {', '.join(strange)}, and the crystal is {atoms.symbols}; give "
                f"some of {', '.join(sorted(set(atoms.symbols)))}"
            )


def _supercells(crystal: Atoms, settings: VacancySettings) -> list[Atoms]:
    """The conventional cell, repeated, the smallest first."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell.array), axis=0)
    fewest = np.maximum(np.ceil(settings.min_length_A / heights - 1e-6), 1).astype(int)
    return [crystal * tuple(fewest + more) for more in range(settings.sizes)]


def _kinds(crystal: Atoms, settings: VacancySettings) -> list[tuple[int, str]]:
    """An atom of each kind of site, and what the site is called."""
    dataset = symmetry_dataset(crystal, settings.symprec_A)
    equivalent = np.arange(len(crystal)) if dataset is None else dataset.equivalent_atoms
    found = []
    for index in np.unique(equivalent):
        if settings.elements is None or crystal.symbols[index] in settings.elements:
            count = int((equivalent == index).sum())
            letter = "" if dataset is None else dataset.wyckoffs[index]
            found.append((int(index), f"{count}{letter}"))
    return found


def _without(cell: Atoms, index: int) -> Atoms:
    """A supercell without one atom."""
    defect = cell.copy()
    defect.calc = None
    del defect[index]
    return defect


def _vacancy(
    crystal: Atoms,
    index: int,
    site: str,
    relaxed: list[RelaxResult],
    perfect: np.ndarray,
    bulk_energy: float,
    settings: VacancySettings,
) -> Vacancy:
    element = str(crystal.symbols[index])
    potential = (settings.chemical_potentials or {}).get(element)
    if potential is None and len(set(crystal.symbols)) == 1:
        potential = bulk_energy
    return Vacancy(
        element=element,
        site=site,
        removal_energies_eV=np.array([one.energy for one in relaxed]) - perfect,
        chemical_potential_eV=potential,
        structures=[one.atoms for one in relaxed],
        converged=not settings.relax_atoms
        or all(one.converged and one.damage is None for one in relaxed),
    )


def _schottky(crystal: Atoms, found: list[Vacancy], bulk_energy: float) -> np.ndarray | None:
    """Energy of the vacancies of a formula unit, of the lowest ones of each element."""
    unit = crystal.symbols.formula.reduce()[0].count()
    if len(unit) < 2 or set(unit) != {one.element for one in found}:
        return None
    total = bulk_energy * sum(unit.values())
    lowest = [
        number * np.min([one.removal_energies_eV for one in found if one.element == symbol], axis=0)
        for symbol, number in unit.items()
    ]
    return np.asarray(np.sum(lowest, axis=0) + total)
