"""Relaxing many structures at once, each with an optimizer of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.relaxation.minimizer import Relaxation
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings
from ase_geomformer.recipes.relaxation.store import RelaxStore
from ase_geomformer.runs.report import Advance


def relax_batch(
    structures: Sequence[Atoms],
    evaluator: Evaluator,
    settings: RelaxManySettings,
    chosen: Iterable[int] | None = None,
) -> Iterator[tuple[int, RelaxResult]]:
    """Relax structures together, one evaluation of all that are under way in every step.

    A structure that is done leaves, and the next takes its place. None of them sees anything of
    the others, so that each takes the steps it would take alone.

    Parameters
    ----------
    structures : sequence of ase.Atoms
    evaluator : Evaluator
    settings : RelaxManySettings
    chosen : iterable of int, optional
        Indices of those to relax; all when left out.

    Yields
    ------
    (int, RelaxResult)
        Index and result of each structure when it is done. Its wall time is that since it
        entered, which it shared with the others.
    """
    waiting = iter(range(len(structures)) if chosen is None else chosen)
    under_way: list[tuple[int, Relaxation, float]] = []
    properties = ("energy", "forces", "stress") if settings.cell != "none" else ("energy", "forces")
    while True:
        while len(under_way) < settings.in_flight:
            index = next(waiting, None)
            if index is None:
                break
            new = Relaxation(structures[index], settings, batched=True)
            under_way.append((index, new, time.perf_counter()))
        if not under_way:
            return
        present = [relaxation.atoms for _, relaxation, _ in under_way]
        for atoms, results in zip(present, evaluator(present, properties), strict=True):
            atoms.calc = SinglePointCalculator(atoms, **results)
        still = []
        for index, relaxation, entered in under_way:
            relaxation.observe()
            if relaxation.done:
                yield index, relaxation.result(time.perf_counter() - entered)
                continue
            relaxation.advance()
            still.append((index, relaxation, entered))
        under_way = still


def relax_all(
    structures: Sequence[Atoms],
    evaluator: Evaluator,
    settings: RelaxManySettings,
    advance: Advance | None = None,
    store: RelaxStore | None = None,
) -> list[RelaxResult]:
    """The results of :func:`relax_batch` in order.

    With a store of the same structures, results are kept there as they are done, and those that it
    has are not computed again.
    """
    store = RelaxStore(None, list(structures)) if store is None else store
    left = [index for index in range(len(structures)) if index not in store.finished]
    for index, result in relax_batch(structures, evaluator, settings, left):
        store.add(index, result)
        if advance is not None:
            advance(len(store.finished))
    return [store.finished[index] for index in range(len(structures))]


def check_structures(
    structures: Sequence[Atoms],
    names: Sequence[str],
    evaluator: Evaluator,
    settings: RelaxManySettings,
) -> None:
    """Refuse, by its name, what would fail half-way through.

    Raises
    ------
    ValueError
        If a structure and the settings or the potential do not fit each other.
    """
    from ase_geomformer.runtime.results import check_request

    potential = getattr(evaluator, "potential", None)
    properties = ("forces", "stress") if settings.cell != "none" else ("forces",)
    for name, atoms in zip(names, structures, strict=True):
        try:
            Relaxation(atoms, settings, batched=True)
            if potential is not None:
                check_request(atoms, potential, properties)
        except (ValueError, PropertyNotImplementedError) as error:
            raise ValueError(f"{name}: {error}") from error
