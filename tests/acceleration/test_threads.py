"""Small structures are evaluated on one thread, whatever torch was told."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from rich.console import Console
from rich.progress import Progress

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.acceleration import threads
from ase_geomformer.acceleration.threads import (
    FEW_EDGES,
    _keeps_house,
    compiling,
    others_could_compute,
    threads_worth,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Torch has two; threads that other tests have left behind do not count."""
    left = set(threading.enumerate()) - {threading.main_thread()}
    monkeypatch.setattr(threads, "_of_the_compiler", weakref.WeakSet(left))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def few(ethanol: Atoms) -> AtomGraph:
    return AtomGraph.from_atoms(ethanol, 4.0)


@pytest.fixture
def many(silicon: Atoms) -> AtomGraph:
    return AtomGraph.from_atoms(silicon.repeat(2), 4.0)


def test_few_edges_have_one_thread_and_many_have_all(few: AtomGraph, many: AtomGraph) -> None:
    assert few.num_edges <= FEW_EDGES < many.num_edges
    with threads_worth(few):
        assert torch.get_num_threads() == 1
    with threads_worth(many):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2


def test_threads_are_given_back_after_an_error(few: AtomGraph) -> None:
    with pytest.raises(ZeroDivisionError), threads_worth(few):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


@pytest.fixture
def waiting() -> Iterator[Callable[[threading.Thread], None]]:
    """Start threads that live until the test is over."""
    started = []

    def start(thread: threading.Thread) -> None:
        thread.start()
        started.append(thread)

    yield start
    over.set()
    for thread in started:
        thread.join()
    over.clear()


over = threading.Event()


class Monitor(threading.Thread):
    """A thread of a progress bar, as far as can be seen."""

    __module__ = "tqdm._monitor"

    def run(self) -> None:
        over.wait()


@pytest.mark.parametrize("daemon", [False, True])
def test_left_alone_beside_a_thread_that_could_compute(
    few: AtomGraph, waiting: Callable[[threading.Thread], None], daemon: bool
) -> None:
    """Torch would give one thread for good to a thread that computes for the first time then."""
    assert not others_could_compute()
    waiting(threading.Thread(target=over.wait, daemon=daemon))
    assert others_could_compute()
    with threads_worth(few):
        assert torch.get_num_threads() == 2


def test_left_alone_in_a_thread_beside_the_main_one(few: AtomGraph) -> None:
    def number() -> int:
        with threads_worth(few):
            return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(number).result() == 2


def test_progress_bars_and_notebooks_do_not_compute(
    few: AtomGraph, waiting: Callable[[threading.Thread], None]
) -> None:
    waiting(Monitor())
    served = threading.Thread(target=over.wait)
    served._target = SimpleNamespace(__module__="ipykernel.iostream", __call__=over.wait)
    assert _keeps_house(served)
    with Progress(console=Console(quiet=True)) as progress:
        progress.add_task("steps", total=2)
        assert threading.active_count() >= 3
        with threads_worth(few):
            assert torch.get_num_threads() == 1


def test_threads_of_the_compiler_do_not_compute(
    waiting: Callable[[threading.Thread], None],
) -> None:
    with compiling():
        waiting(threading.Thread(target=over.wait))
    assert not others_could_compute()
    waiting(threading.Thread(target=over.wait))
    with compiling():
        waiting(threading.Thread(target=over.wait))
    assert others_could_compute()


def test_threads_that_begin_during_an_evaluation_keep_theirs(
    potential: Potential, ethanol: Atoms
) -> None:
    """What the rule is for: threads that use torch for the first time, all along."""
    calculator = PotentialCalculator(potential, device="cpu", radial_tables=False)
    numbers: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        evaluations = pool.submit(
            lambda: [calculator.get_forces(moved(ethanol, step)) for step in range(20)]
        )
        while not evaluations.done():
            fresh = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
            fresh.start()
            fresh.join()
    assert len(evaluations.result()) == 20
    assert set(numbers) == {2}


def moved(atoms: Atoms, step: int) -> Atoms:
    """Each time another structure."""
    other = atoms.copy()
    other.positions += 0.01 * np.random.default_rng(step).normal(size=other.positions.shape)
    return other


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of threads at each evaluation of a potential."""
    numbers: list[int] = []
    forward = Potential.forward

    def watched(self: Potential, graph: AtomGraph, *args: object) -> object:
        numbers.append(torch.get_num_threads())
        return forward(self, graph, *args)

    monkeypatch.setattr(Potential, "forward", watched)
    return numbers


def test_calculators_use_it(
    potential: Potential, ethanol: Atoms, silicon: Atoms, seen: list[int]
) -> None:
    for atoms in (ethanol, silicon.repeat(2)):
        PotentialCalculator(potential, device="cpu", radial_tables=False).get_forces(atoms)
    assert seen == [1, 2]
    assert torch.get_num_threads() == 2


def test_batches_use_it(
    potential: Potential, ethanol: Atoms, silicon: Atoms, seen: list[int]
) -> None:
    calculator = PotentialCalculator(potential, device="cpu", radial_tables=False)
    last = []
    for atoms in (ethanol, silicon.repeat(2)):
        evaluate_many([atoms], calculator)  # memory is predicted by evaluations before
        last.append(seen[-1])
    assert last == [1, 2]
    assert torch.get_num_threads() == 2
