"""Cohesive energies: from structures and energies of isolated atoms to a table and files."""

from __future__ import annotations

from typing import Unpack

from ase import Atoms

from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.cohesion import figure
from ase_geomformer.recipes.cohesion.result import Cohesion, CohesiveResult
from ase_geomformer.recipes.cohesion.settings import CohesiveSettings
from ase_geomformer.recipes.isolated import atom_energies, extrapolated
from ase_geomformer.recipes.relaxation.batch import relax_batch
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS, RelaxManySettings
from ase_geomformer.recipes.relaxation.store import FINISHED_FILE, RelaxStore
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureSource, read_structures

FINAL_FILE = "relaxed.extxyz"
FIGURE_FILE = "cohesive.png"


@takes_pymatgen()
def cohesive(
    structures: Atoms | StructureSource,
    potential: PotentialLike,
    settings: CohesiveSettings | None = None,
    *,
    index: str = ":",
    **keywords: Unpack[RunKeywords],
) -> CohesiveResult:
    """Energy that it takes to pull structures apart into isolated atoms, by atom.

    A trained potential extrapolates to isolated atoms, and can be off by electronvolts. It is
    refused unless ``atom_energies`` says what they have at its level of theory, or ``extrapolate``
    accepts what it gives.

    Parameters
    ----------
    structures : ase.Atoms, list of ase.Atoms, or path
        Crystals or molecules; left as they are. Constraints are honoured.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : CohesiveSettings, optional
    index : str
        Frames of each file.
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``relaxed.extxyz``,
        ``cohesive.png``, ``settings.yaml`` and ``result.json``. A run that was killed resumes with
        the structures that were not finished (``finished.jsonl``).

    Returns
    -------
    CohesiveResult

    Raises
    ------
    ValueError
        If the energies of isolated atoms are not known.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or CohesiveSettings()
    run = Run(potential, settings, **keywords)
    given = [structures] if isinstance(structures, Atoms) else structures
    starts, names = read_structures(given, index)
    for atoms in starts:
        geometry(atoms)  # refuses positions that are not finite
    energies, source = _atoms_apart(starts, run, settings)
    run.foresee(starts, USUAL_STEPS)
    kept = (FINISHED_FILE,)
    folder = run.start((*kept, FINAL_FILE, FIGURE_FILE), kept=kept)
    store = RelaxStore(folder.file(FINISHED_FILE), starts)
    with run.bar("cohesive", len(starts), len(store.finished)) as advance:
        for how, chosen in _groups(starts, settings):
            left = [number for number in chosen if number not in store.finished]
            for number, found in relax_batch(starts, run.evaluator, how, left):
                store.add(number, found)
                advance(len(store.finished))
    cohesions = [
        _entry(name, store.finished[number], energies, settings)
        for number, name in enumerate(names)
    ]
    problems = [f"{one.name}: {one.problem}" for one in cohesions if one.problem]
    fine = f"{len(cohesions)} structures, energies of isolated atoms: {source}"
    result = CohesiveResult(
        **run.outcome(not problems, "; ".join(problems) or fine),
        cohesions=cohesions,
        atom_energies_eV=energies,
        atom_energies_from=source,
    )
    folder.save_atoms(FINAL_FILE, [one.atoms for one in cohesions])
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result))
    return run.finish(result, "Cohesive energies")


def _atoms_apart(
    structures: list[Atoms], run: Run, settings: CohesiveSettings
) -> tuple[dict[str, float], str]:
    """Energies of isolated atoms of all elements, and where they come from."""
    symbols = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    if settings.atom_energies is not None:
        missing = sorted(set(symbols) - set(settings.atom_energies))
        if missing:
            raise ValueError(f"atom_energies has none for {', '.join(missing)}; give all elements")
        return {symbol: float(settings.atom_energies[symbol]) for symbol in symbols}, "given"
    remark = extrapolated(run.evaluator)
    if remark and not settings.extrapolate:
        raise ValueError(f"{remark}, or set extrapolate to accept them")
    run.note(remark)
    source = "extrapolation" if remark else "calculator"
    return atom_energies(run.evaluator, symbols), source


def _groups(
    structures: list[Atoms], settings: CohesiveSettings
) -> list[tuple[RelaxManySettings, list[int]]]:
    """How structures are relaxed, and which: crystals with their cells, others without."""
    crystals = [
        number
        for number, atoms in enumerate(structures)
        if atoms.pbc.all() and atoms.cell.rank == 3
    ]
    others = [number for number in range(len(structures)) if number not in crystals]
    if not settings.relax:
        return [(settings.of_atoms_as_they_are, [*crystals, *others])]
    return [(settings.of_bulk, crystals), (settings.of_atoms, others)]


def _entry(
    name: str, found: RelaxResult, energies: dict[str, float], settings: CohesiveSettings
) -> Cohesion:
    apart = sum(energies[symbol] for symbol in found.atoms.symbols)
    relaxed = found.converged and found.damage is None
    return Cohesion(
        name=name,
        atoms=found.atoms,
        cohesive_energy_eV=(apart - found.energy) / len(found.atoms),
        problem="" if relaxed or not settings.relax else found.damage or found.reason,
    )
