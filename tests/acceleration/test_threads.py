"""Small structures are evaluated on one thread, whatever torch was told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.acceleration.threads import FEW_EDGES, threads_worth
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
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
        evaluate_many(calculator, [atoms])  # memory is predicted by evaluations before
        last.append(seen[-1])
    assert last == [1, 2]
    assert torch.get_num_threads() == 2
