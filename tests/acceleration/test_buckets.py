"""Sizes that graphs are padded to."""

from __future__ import annotations

import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from ase_geomformer.acceleration.buckets import COMPILATION, FEW, STEP, WASTE, Buckets, Size, bucket
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.padding import pad_graph

pytestmark = pytest.mark.quick

counts = st.builds(
    Size,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(2, 10**5),
    st.integers(2, 10**3),
)


def test_the_size_of_a_graph_counts_its_ghost(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 2.0, far_cutoff=5.0)
    assert Size.of(graph) == (graph.num_edges, graph.num_far_pairs, 10, 2)
    padded = pad_graph(graph, 10, graph.num_edges, 2.0, graph.num_far_pairs, 2)
    assert (padded.num_atoms, padded.num_structures) == (10, 2)


@given(counts)
def test_a_bucket_holds_what_it_is_made_for(size: Size) -> None:
    made = bucket(size)
    assert made.holds(size)
    assert all(room % step == 0 for room, step in zip(made, STEP, strict=True))
    # Room for some more edges and pairs, but never for some where there were none.
    for name in ("num_edges", "num_far_pairs"):
        number, room = getattr(size, name), getattr(made, name)
        assert number * 17 / 16 <= room < number * 17 / 16 + 16


@given(counts)
def test_a_structure_alone_keeps_its_atoms(size: Size) -> None:
    """Only batches, whose members change, have room for more atoms and structures."""
    made, alone = bucket(size), bucket(size._replace(num_structures=2))
    assert alone.num_structures == 2
    assert alone.num_atoms - size.num_atoms < STEP.num_atoms
    assert made.num_atoms >= alone.num_atoms


@given(counts, counts)
def test_what_holds_a_graph_serves_it(first: Size, second: Size) -> None:
    buckets = Buckets()
    made = buckets.choose(first)
    assert buckets.choose(first) == made
    assert buckets.choose(second).holds(second)
    if made.holds(second):
        assert buckets.choose(second) == made


def test_the_cheapest_size_that_holds_a_graph_is_taken() -> None:
    buckets = Buckets()
    small, large = (buckets.choose(Size(edges, 0, 65, 2)) for edges in (1000, 1200))
    assert small != large
    assert buckets.choose(Size(1040, 0, 65, 2)) == small
    assert buckets.choose(Size(small.num_edges + 1, 0, 65, 2)) == large
    assert buckets.choose(Size(1000, 0, large.num_atoms + 1, 2)) not in (small, large)


def test_waste_is_borne_until_it_would_have_paid_for_a_compilation() -> None:
    buckets = Buckets()
    large, size = buckets.choose(Size(50_000, 0, 5_000, 90)), Size(2_000, 0, 200, 4)
    wasted, evaluations = 0.0, 0
    while buckets.choose(size) == large:
        wasted += large.cost - size.cost
        evaluations += 1
    assert evaluations > 50
    assert wasted <= COMPILATION < wasted + large.cost
    assert buckets.choose(size) == bucket(size)
    assert buckets.choose(Size(40_000, 0, 4_500, 80)) == large


def test_a_little_waste_is_never_worth_a_compilation() -> None:
    buckets = Buckets()
    large = buckets.choose(Size(10_000, 0, 513, 2))
    size = Size(int((large.cost - FEW) / (1 + WASTE)) - 512, 0, 513, 2)
    for _ in range(2 * int(COMPILATION / large.cost)):
        assert buckets.choose(size) == large


@pytest.mark.parametrize(("factor", "expected"), [(1.3, 5), (3.0, 19)])
def test_few_sizes_serve_a_growing_graph(factor: float, expected: int) -> None:
    buckets = Buckets()
    sizes = {
        buckets.choose(Size(edges, 0, 513, 2)) for edges in range(10_000, int(10_000 * factor))
    }
    assert len(sizes) <= expected


def test_few_sizes_serve_a_list_that_grows_shorter() -> None:
    """As structures are done, one after the other, five evaluations apart."""
    buckets = Buckets()
    sizes = {
        buckets.choose(Size(700 * left, 0, 60 * left + 1, left + 1))
        for left in range(60, 0, -1)
        for _ in range(5)
    }
    assert len(sizes) <= 2
