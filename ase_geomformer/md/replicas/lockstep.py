"""Several runs in one process that wait for each other at every evaluation.

An integrator calls for forces from deep inside its step. Each replica's step therefore runs in a
thread of its own, which stops where it needs forces until all others have come as far; then one
batch serves all. Only one thread runs at a time, in a fixed order: threads are used for their
stacks, not for speed, and nothing depends on their timing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Semaphore, Thread
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from ase_geomformer.evaluate import Evaluator


class _Closed(BaseException):
    """Ends a task that nobody waits for any more."""


class Companion:
    """A thread that works only while its owner waits for it."""

    def __init__(self) -> None:
        self.at_work = False
        self._go, self._back = Semaphore(0), Semaphore(0)
        self._task: Callable[[], object] | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def start(self, task: Callable[[], object]) -> bool:
        """Begin a task; whether it is done, rather than waiting. Its exceptions are raised."""
        self._task = task
        return self.resume()

    def resume(self) -> bool:
        """Let a waiting task go on; whether it is done."""
        self.at_work = True
        self._go.release()
        self._back.acquire()
        self.at_work = False
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._task is None

    def wait(self) -> None:
        """Called by the task: give control back until the owner resumes it."""
        self._back.release()
        self._go.acquire()
        if self._closed:
            raise _Closed

    def close(self) -> None:
        """End the thread, wherever its task is."""
        self._closed = True
        self._go.release()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            self._go.acquire()
            if self._closed or self._task is None:
                return
            try:
                self._task()
            except _Closed:
                return
            except BaseException as error:
                self._error = error
            self._task = None
            self._back.release()


class ReplicaCalculator(Calculator):
    """ASE calculator of one replica, whose evaluations are done together with the others'.

    Parameters
    ----------
    evaluate : Evaluator
        Shared by all replicas.
    properties : sequence of str
        What to compute in each evaluation, whatever is asked for first.
    """

    def __init__(self, evaluate: Evaluator, properties: Sequence[str]) -> None:
        super().__init__()
        shared = evaluate.calculator
        self.evaluate, self.companion = evaluate, Companion()
        self.implemented_properties = list(shared.implemented_properties)
        self.potential = getattr(shared, "potential", None)
        self.parameters = shared.parameters
        self.properties = set(properties)
        self.asked = Atoms()
        self.wanted: set[str] = set()
        self.answer: dict[str, Any] = {}
        self.failure: Exception | None = None

    @property
    def name(self) -> str:
        """That of the calculator that all share."""
        return str(self.evaluate.calculator.name)

    def evaluation_of(self, atoms: Atoms) -> Any:
        """How the calculator that all share evaluates a structure; None if it is not ours."""
        known = getattr(self.evaluate.calculator, "evaluation_of", None)
        return known(atoms) if known else None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Store the results, once the others' structures are known, too."""
        super().calculate(atoms, properties, system_changes)
        self.asked = self.atoms or Atoms()
        self.wanted = self.properties | set(properties)
        if self.companion.at_work:
            self.companion.wait()
            if self.failure is not None:
                failure, self.failure = self.failure, None
                raise failure
        else:
            (self.answer,) = self.evaluate([self.asked], tuple(sorted(self.wanted)))
        self.results.update(self.answer)


def advance(
    calculators: Mapping[int, ReplicaCalculator], tasks: Mapping[int, Callable[[], object]]
) -> dict[int, Exception]:
    """Do one task for each replica, with evaluations in common.

    Parameters
    ----------
    calculators, tasks : mapping
        By the index of the replica.

    Returns
    -------
    dict of int to Exception
        Those that ended a replica's task.
    """
    errors: dict[int, Exception] = {}

    def waits(index: int, go: Callable[[], bool]) -> bool:
        try:
            return not go()
        except Exception as error:
            errors[index] = error
            return False

    def starter(index: int) -> Callable[[], bool]:
        return lambda: calculators[index].companion.start(tasks[index])

    waiting = [index for index in tasks if waits(index, starter(index))]
    while waiting:
        asking = [calculators[index] for index in waiting]
        wanted = tuple(sorted(set().union(*(calculator.wanted for calculator in asking))))
        _answer(asking, wanted)
        waiting = [i for i in waiting if waits(i, calculators[i].companion.resume)]
    return errors


def _answer(asking: Sequence[ReplicaCalculator], wanted: tuple[str, ...]) -> None:
    """Evaluate all structures at once; where that fails, find out whose fault it is."""
    try:
        answers = asking[0].evaluate([calculator.asked for calculator in asking], wanted)
    except Exception as error:
        if len(asking) > 1:
            for calculator in asking:
                _answer([calculator], wanted)
        else:
            asking[0].failure = error
        return
    for calculator, answer in zip(asking, answers, strict=True):
        calculator.answer = answer
