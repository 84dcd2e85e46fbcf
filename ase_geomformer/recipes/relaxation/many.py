"""Relaxation of many structures, in batches and safe from interruption."""

from __future__ import annotations

from collections import Counter
from typing import Unpack

from ase import Atoms

from ase_geomformer.cluster import ClusterEvaluator
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.relaxation.batch import check_structures, relax_batch
from ase_geomformer.recipes.relaxation.figure import plot_many
from ase_geomformer.recipes.relaxation.result import RelaxManyResult, RelaxResult
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS, RelaxManySettings
from ase_geomformer.recipes.relaxation.spread import relax_spread
from ase_geomformer.recipes.relaxation.store import FINISHED_FILE, RelaxStore
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureSource, read_structures

FINAL_FILE = "relaxed.extxyz"
FIGURE_FILE = "relax_many.png"


@takes_pymatgen()
def relax_many(
    structures: StructureSource,
    potential: PotentialLike,
    settings: RelaxManySettings | None = None,
    *,
    index: str = ":",
    **keywords: Unpack[RunKeywords],
) -> RelaxManyResult:
    """Relax many structures, several at the same time with one batched evaluation per step.

    The results are those of :func:`~ase_geomformer.recipes.relax` for each structure, to rounding.
    Each result is written when it is done: a run that was killed resumes with the structures that
    were not.

    Parameters
    ----------
    structures : list of ase.Atoms, or path
        Structures, a folder of files, or a file: extended XYZ, ASE database, or what else ASE
        reads.
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64; any other calculator evaluates
        the structures one after the other. With a
        :class:`~ase_geomformer.cluster.ClusterEvaluator`, each worker relaxes some of them at a
        time; a structure that cannot be relaxed, or that its workers die of, is set aside, and
        its ``damage`` says why.
    settings : RelaxManySettings, optional
    index : str
        Frames of each file.
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``finished.jsonl``
        (structures as they are done), ``relaxed.extxyz`` (all in order), ``relax_many.png``,
        ``settings.yaml`` and ``result.json``.

    Raises
    ------
    FileExistsError
        If the output folder is not empty.
    ValueError
        If a structure cannot be relaxed, or a resumed run is given others.
    """
    settings = settings or RelaxManySettings()
    run = Run(potential, settings, **keywords)
    starts, names = read_structures(structures, index)
    check_structures(starts, names, run.evaluator, settings)
    together = starts[: settings.in_flight]
    rounds = min(settings.steps, USUAL_STEPS) * len(starts) / max(1, len(together))
    run.foresee(together, rounds)
    files = (FINISHED_FILE, FINAL_FILE, FIGURE_FILE)
    folder = run.start(files, kept=(FINISHED_FILE,), free=("in_flight",))
    store = RelaxStore(folder.file(FINISHED_FILE), starts)
    left = [number for number in range(len(starts)) if number not in store.finished]
    with run.bar("relax", len(starts), len(store.finished)) as advance:
        if isinstance(run.evaluator, ClusterEvaluator):
            relaxed = relax_spread(starts, run.evaluator, settings, left)
        else:
            relaxed = relax_batch(starts, run.evaluator, settings, left)
        for number, found in relaxed:
            store.add(number, found)
            advance(len(store.finished))
    results = [store.finished[number] for number in range(len(starts))]
    result = RelaxManyResult(
        **run.outcome(all(found.converged for found in results), _reason(results)),
        results=results,
        names=names,
    )
    folder.save_atoms(FINAL_FILE, [_labelled(found) for found in results])
    folder.save_figure(FIGURE_FILE, lambda: plot_many(results))
    return run.finish(result, f"{len(starts)} structures, relaxed")


def _reason(results: list[RelaxResult]) -> str:
    converged = sum(result.converged for result in results)
    text = f"{converged} of {len(results)} structures converged"
    kinds = Counter(result.damage.partition(":")[0] for result in results if result.damage)
    return text + "".join(f", {count} {kind}" for kind, count in sorted(kinds.items()))


def _labelled(result: RelaxResult) -> Atoms:
    """The structure with what has become of it in ``info``."""
    atoms = result.atoms.copy()
    atoms.calc = result.atoms.calc
    atoms.info["converged"] = result.converged
    if result.damage:
        atoms.info["damage"] = result.damage
    return atoms
