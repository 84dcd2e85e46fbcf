"""The teacher: a calculator by name, or an object, and who asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer.external import calculator_by_name, origin
from ase_geomformer.learning.answers import Answer, ask
from ase_geomformer.learning.cluster_labeller import ClusterLabeller
from ase_geomformer.learning.workers import WorkerPool
from ase_geomformer.runs.executor import Executor


@dataclass(frozen=True)
class Teacher:
    """The reference method.

    Attributes
    ----------
    name : str
        As :func:`~ase_geomformer.external.calculator_by_name` takes it; only for descriptions
        where ``calculator`` is given.
    arguments : mapping
        Keywords that make it.
    calculator : ASE calculator or None
        One that is there already; it labels in this process.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    calculator: Calculator | None = None

    @classmethod
    def of(cls, teacher: Teacher | Calculator | str) -> Teacher:
        """A teacher from its name, from an ASE calculator, or as it is."""
        if isinstance(teacher, Teacher):
            return teacher
        if isinstance(teacher, str):
            return cls(teacher)
        if not hasattr(teacher, "get_property"):
            raise TypeError(
                "teacher must be the name of a calculator, an ASE calculator or a Teacher, not "
                f"{type(teacher).__name__}"
            )
        return cls(str(getattr(teacher, "name", type(teacher).__name__)), calculator=teacher)

    def make(self) -> Calculator:
        """The calculator."""
        if self.calculator is not None:
            return self.calculator
        return calculator_by_name(self.name, self.arguments)

    def describe(self, made: Calculator) -> dict[str, Any]:
        """What makes its labels what they are: name, arguments, package and version."""
        return {
            "name": self.name,
            "arguments": dict(self.arguments),
            "package": origin(made)["package"],
        }


class Labeller(Protocol):
    """Has structures labelled, perhaps several at once."""

    def __call__(self, structures: Iterable[Atoms]) -> Iterator[tuple[int, Answer]]:
        """The index of each structure and its answer, as they come."""

    def close(self) -> None:
        """End what works for it."""


class InProcess:
    """Labels one structure after the other in this process."""

    def __init__(self, make: Callable[[], Calculator]) -> None:
        self.calculator = make()

    def __call__(self, structures: Iterable[Atoms]) -> Iterator[tuple[int, Answer]]:
        for index, atoms in enumerate(structures):
            yield index, ask(self.calculator, atoms)

    def close(self) -> None:
        """Nothing is left to end."""


def labeller(
    teacher: Teacher,
    *,
    workers: int,
    folder: Path | None,
    timeout_s: float | None,
    cluster: Executor | Any | str | None = None,
) -> Labeller:
    """Who asks the teacher: a cluster or processes for one by name, else this process.

    Parameters
    ----------
    teacher : Teacher
    workers : int
        Number of processes.
    folder : Path or None
        Folder in which each process gets one of its own for the files of its calculator and for
        what it prints; a temporary one if left out.
    timeout_s : float or None
        Time after which a call counts as failed, and its process is ended.
    cluster : Executor, dask.distributed.Client or str, optional
        Whose workers have the teacher instead.

    Raises
    ------
    ValueError
        If processes, a cluster or a time limit are asked of a calculator that is an object of
        this process.
    """
    if teacher.calculator is None and cluster is not None:
        return ClusterLabeller(teacher.name, teacher.arguments, timeout_s, cluster)
    if teacher.calculator is None:
        return WorkerPool(teacher.name, teacher.arguments, workers, folder, timeout_s)
    if workers > 1 or timeout_s is not None or cluster is not None:
        raise ValueError(
            "several workers, a cluster, or a time limit need a teacher by its name or as "
            "'module:factory', which each process can make for itself; an ASE calculator labels "
            "in the present process"
        )
    return InProcess(teacher.make)
