"""Relaxing structures on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms

from ase_geomformer.cluster import ClusterEvaluator
from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings
from ase_geomformer.runs.executor import Failure, spread
from ase_geomformer.runs.shared import Shared

# Batches hold no more than this, so that there are enough of them for all workers.
_LARGEST_BATCH = 32


class _Relaxations:
    """What a worker does with a batch of structures."""

    def __init__(self, shared: Shared[Evaluator], settings: RelaxManySettings) -> None:
        self._shared, self._settings = shared, settings

    def __call__(self, structures: Sequence[Atoms]) -> list[RelaxResult]:
        return relax_all(structures, self._shared.get(), self._settings)


def relax_spread(
    structures: Sequence[Atoms],
    evaluator: ClusterEvaluator,
    settings: RelaxManySettings,
    chosen: Sequence[int],
) -> Iterator[tuple[int, RelaxResult]]:
    """Relax chosen structures in batches, each by one worker.

    Yields
    ------
    (int, RelaxResult)
        Index and result of each structure when its batch is done.
    """
    work = _Relaxations(evaluator.shared, settings)
    items = [structures[index].copy() for index in chosen]
    size = min(settings.in_flight, _LARGEST_BATCH)
    for number, found in spread(evaluator.executor, work, items, batch_size=size):
        index = chosen[number]
        if isinstance(found, Failure):
            found = _set_aside(structures[index], found, settings)
        yield index, found


def _set_aside(atoms: Atoms, failure: Failure, settings: RelaxManySettings) -> RelaxResult:
    """The result of a structure that could not be relaxed: its start, without numbers."""
    nothing = np.array([np.nan])
    return RelaxResult(
        converged=False,
        reason=f"set aside: {failure.error}",
        wall_time=0.0,
        atoms=atoms.copy(),
        steps=0,
        optimizer=settings.optimizer,
        energy=np.nan,
        fmax=np.nan,
        smax_GPa=None,
        damage=f"set aside: {failure.error}",
        space_group_before=None,
        space_group_after=None,
        history={"energy_eV": nothing, "fmax_eV_per_A": nothing},
    )
