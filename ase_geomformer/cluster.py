"""Lists of structures evaluated by the workers of a cluster, or by any executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer.evaluate import Evaluator, as_evaluator
from ase_geomformer.runs.executor import Executor, Failure, executor_of, spread
from ase_geomformer.runs.report import progress_bar
from ase_geomformer.runs.shared import Shared
from ase_geomformer.runtime.evaluation import Adaptable, Change
from ase_geomformer.runtime.prepared import Source

# Atoms of a batch, so that a task takes long enough to be worth sending.
ATOMS_PER_BATCH = 2000


class ClusterEvaluator:
    """Evaluates lists of structures on the workers of an executor.

    Batches depend on the structures alone: results are the same to the bit on any number of
    workers.

    Parameters
    ----------
    evaluator : Evaluator
        What each worker evaluates with; it is sent to each of them once.
    executor : Executor

    Attributes
    ----------
    evaluator : Evaluator
    executor : Executor
    """

    def __init__(self, evaluator: Evaluator, executor: Executor) -> None:
        self.evaluator, self.executor = evaluator, executor
        self.shared: Shared[Evaluator] = Shared(evaluator, executor)

    @property
    def calculator(self) -> Calculator:
        """A calculator in this process, for single structures."""
        return self.evaluator.calculator

    @property
    def potential(self) -> Any:
        """The potential, None where another calculator evaluates."""
        return getattr(self.evaluator, "potential", None)

    def adapted(self, change: Change) -> ClusterEvaluator:
        """The same with its prepared potential changed, or itself if it is not."""
        if not isinstance(self.evaluator, Adaptable):
            return self
        other = self.evaluator.adapted(change)
        return self if other is self.evaluator else ClusterEvaluator(other, self.executor)

    def __call__(
        self,
        structures: Iterable[Atoms],
        properties: Sequence[str] = ("energy", "forces"),
        *,
        progress: bool = False,
    ) -> list[dict[str, Any]]:
        """The properties of each structure, in order.

        Raises
        ------
        ValueError
            If some cannot be evaluated; all others have been by then. The message names them.
        """
        structures = list(structures)
        results: dict[int, dict[str, Any]] = {}
        failures: dict[int, str] = {}
        with progress_bar("Evaluating", len(structures), progress) as advance:
            for index, found in self.stream(structures, properties):
                if isinstance(found, Failure):
                    failures[index] = found.error
                else:
                    results[index] = found
                advance(len(results) + len(failures))
        if failures:
            first = min(failures)
            raise ValueError(
                f"{len(failures)} of {len(structures)} structures cannot be evaluated: "
                f"{', '.join(map(str, sorted(failures)[:10]))}; structure {first} "
                f"({structures[first].symbols}): {failures[first]}"
            )
        return [results[index] for index in range(len(structures))]

    def stream(
        self, structures: Sequence[Atoms], properties: Sequence[str] = ("energy", "forces")
    ) -> Iterator[tuple[int, dict[str, Any] | Failure]]:
        """Index and properties of each structure as they come."""
        if not structures:
            return
        names = (properties,) if isinstance(properties, str) else tuple(properties)
        bare = [_bare(atoms) for atoms in structures]
        size = max(1, ATOMS_PER_BATCH // max(map(len, bare)))
        task = _Evaluation(self.shared, names)
        yield from spread(self.executor, task, bare, batch_size=size)


@contextmanager
def on_cluster(
    potential: Source | Calculator | Evaluator, cluster: Executor | Any | str, **keywords: Any
) -> Iterator[ClusterEvaluator]:
    """An evaluator whose work is done by a cluster, for all that takes an evaluator.

    ``relax_many`` sends whole relaxations to the workers; ``phonons``, ``thermal_conductivity``
    and ``qha`` their displaced structures.

    Parameters
    ----------
    potential : str, path, Potential, ASE calculator or Evaluator
        One by its name, path or itself is evaluated in float64 unless ``dtype`` says otherwise.
    cluster : Executor, dask.distributed.Client or str
        See :func:`~ase_geomformer.runs.executor.executor_of`. In scripts, ``"local"`` needs
        ``if __name__ == "__main__":`` around what starts it.
    **keywords
        :class:`~ase_geomformer.runtime.settings.CalculatorSettings`, for a potential.
    """
    if isinstance(potential, Evaluator):
        evaluator: Evaluator = potential
    elif isinstance(potential, Calculator):
        evaluator = as_evaluator(potential, **keywords)
    else:
        evaluator = as_evaluator(potential, **{"dtype": "float64", **keywords})
    with executor_of(cluster) as executor:
        yield ClusterEvaluator(evaluator, executor)


class _Evaluation:
    """What a worker does with a batch of structures."""

    def __init__(self, shared: Shared[Evaluator], properties: tuple[str, ...]) -> None:
        self._shared, self._properties = shared, properties

    def __call__(self, structures: Sequence[Atoms]) -> list[dict[str, Any]]:
        return self._shared.get()(structures, self._properties)


def _bare(atoms: Atoms) -> Atoms:
    """A structure without its calculator, which would be pickled with it."""
    copy = atoms.copy()
    copy.calc = None
    return copy
