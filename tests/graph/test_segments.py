"""Sums over segments, by the index as on a CPU and one by one as on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer.acceleration import CompiledPotential
from ase_geomformer.architectures import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments, Slots
from ase_geomformer.hessian import hessian
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.testing.waiting import Waits

Kind = Callable[[Sequence[int], int], Segments]


@pytest.fixture(params=["by index", "sorted", "reduced"])
def segments(request: pytest.FixtureRequest) -> Kind:
    """Of members as they come; sorted ones may say so."""

    def of(index: Sequence[int], number: int) -> Segments:
        members = torch.tensor(index, dtype=torch.int64)
        if request.param == "by index":
            return Segments.of(members, number)
        if request.param == "reduced":
            return Segments.reduced(members, number)
        return Segments.reduced(members.sort()[0], number, in_order=True)

    return of


def test_sums_and_leaves_empty_segments_zero(segments: Kind) -> None:
    ends = segments([2, 0, 2], 4)
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expected = [[0.0, 0.0] for _ in range(4)]
    for row, place in zip(values.tolist(), ends.index.tolist(), strict=True):
        expected[place] = [a + b for a, b in zip(expected[place], row, strict=True)]
    assert ends.sum(values).tolist() == expected


def test_every_member_gets_the_row_of_its_segment(segments: Kind) -> None:
    ends = segments([2, 0, 2], 3)
    rows = ends.gather(torch.arange(6.0).reshape(3, 2))
    assert rows.tolist() == [[2.0 * place, 2.0 * place + 1.0] for place in ends.index.tolist()]


@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
def test_nothing_to_sum(segments: Kind, shape: tuple[int, ...]) -> None:
    sums = segments([], 2).sum(torch.empty(0, *shape))
    assert torch.equal(sums, torch.zeros(2, *shape))


@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
def test_derivatives_of_any_order(segments: Kind, shape: tuple[int, ...]) -> None:
    ends = segments([1, 1, 0, 4, 1], 5)
    generator = torch.Generator().manual_seed(0)
    for function in (ends.sum, ends.gather):
        values = torch.randn(5, *shape, generator=generator, dtype=torch.float64).requires_grad_()
        nonlinear = lambda x, function=function: function(x.sin()).square()  # noqa: E731
        assert torch.autograd.gradcheck(nonlinear, values, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(nonlinear, values, check_batched_grad=True)


def test_the_gradient_of_gathering_repeats_to_the_bit(segments: Kind) -> None:
    """With more than one thread, too."""
    generator = torch.Generator().manual_seed(0)
    ends = segments(torch.randint(64, (20_000,), generator=generator).tolist(), 64)
    weights = torch.randn(20_000, 64, generator=generator)
    values = torch.zeros(64, 64, requires_grad=True)

    def gradient() -> torch.Tensor:
        (found,) = torch.autograd.grad((ends.gather(values) * weights).sum(), values)
        return found

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(5))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(first, ends.sum(weights))


# Whole potentials, as they are evaluated on a GPU

SMALL = {
    "so3krates": {"num_features": 16, "num_layers": 2, "degrees": (1, 2)},
    "geomformer": {"num_features": 16, "num_blocks": 2, "num_heads": 2},
    "est": {"num_channels": 8, "lmax": 2, "num_layers": 2, "messages": "so2"},
}


@pytest.fixture(params=SMALL)
def potential(request: pytest.FixtureRequest) -> Potential:
    settings = {**SMALL[request.param], "cutoff": 4.0}
    if request.param != "geomformer":
        settings["avg_num_neighbors"] = 20.0
    return Potential(
        build(request.param, settings), ["H", "C", "O", "Si"], terms=build_terms({"zbl": {}})
    )


@pytest.fixture
def reduced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(Segments, "of", Segments.reduced)


def test_results_are_those_of_sums_by_index(
    potential: Potential, reduced: Callable[[], None], ethanol: Atoms, silicon: Atoms
) -> None:
    names = ("energies", "forces", "stress", "stresses")
    graph = AtomGraph.from_atoms([ethanol, silicon], potential.cutoff)
    expected = potential(graph, names)
    reduced()
    with Waits() as waits:
        found = potential(graph, names)
    assert not waits.counts
    for name in names:
        torch.testing.assert_close(found[name], expected[name], equal_nan=True)


def test_second_derivatives_are_those_of_sums_by_index(
    potential: Potential, reduced: Callable[[], None], ethanol: Atoms
) -> None:
    expected = hessian(potential, ethanol, device="cpu")
    reduced()
    found = hessian(potential, ethanol, device="cpu")
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max() + 1e-12)


def test_training_gradients_are_those_of_sums_by_index(
    potential: Potential, reduced: Callable[[], None], ethanol: Atoms
) -> None:
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    weights = [p for p in potential.parameters() if p.requires_grad]

    def gradients() -> Sequence[torch.Tensor]:
        forces = potential(graph, ("forces",), create_graph=True)["forces"]
        loss = forces.square().sum()
        return torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)

    expected = gradients()
    reduced()
    for found, wanted in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_compiled_results_are_those_of_sums_by_index(
    make_potential: Callable[..., Potential], reduced: Callable[[], None], silicon: Atoms
) -> None:
    potential = make_potential(cutoff=4.0, num_layers=1, num_features=16, degrees=(1,))
    graph = AtomGraph.from_atoms(silicon, potential.cutoff)
    expected = potential(graph, ("energy", "forces"))
    reduced()
    compiled = CompiledPotential(potential)
    torch.testing.assert_close(compiled(graph, ("energy", "forces")), expected)
    assert compiled.compilations == 1


@pytest.mark.parametrize(
    ("index", "places"),
    [
        ([0, 0, 1, 1, 2, 2], None),
        ([0, 0, 2], [0, 1, 4]),
        ([2, 0, 2, 1, 2], [6, 0, 7, 3, 8]),
    ],
)
def test_members_in_a_table(index: list[int], places: list[int] | None) -> None:
    """One row for each segment, whose members keep their order; what is empty is zero."""
    slots = Slots.of(torch.tensor(index), 3)
    assert slots is not None
    assert (None if slots.places is None else slots.places.tolist()) == places
    values = 1.0 + torch.arange(2.0 * len(index)).reshape(-1, 2)
    table = slots.filled(values)
    assert torch.equal(table.sum(dim=1), Segments.of(torch.tensor(index), 3).sum(values))
    assert torch.equal(slots.members(table), values)


def test_tables_that_are_mostly_empty_are_not_made() -> None:
    crowded = torch.zeros(1000, dtype=torch.int64)
    assert Slots.of(crowded, 2) is not None
    assert Slots.of(crowded, 3) is None
    assert Segments.of(crowded, 3).slots is None
    assert Segments.of(crowded[:0], 3).slots is None
    assert Segments.reduced(crowded, 2).slots is None
