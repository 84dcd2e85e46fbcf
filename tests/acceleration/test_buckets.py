"""Sizes that graphs are padded to."""

from __future__ import annotations

import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from ase_geomformer.acceleration.buckets import FEW, STEP, WASTE, Size, best_fit, bucket
from ase_geomformer.graph import AtomGraph

counts = st.builds(Size, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(2, 10**5))


def test_the_size_of_a_graph_counts_its_ghost(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 2.0, far_cutoff=5.0)
    assert Size.of(graph) == (graph.num_edges, graph.num_far_pairs, 10)
    padded = graph.pad(10, graph.num_edges, 2.0, graph.num_far_pairs)
    assert padded.num_atoms == 10


@given(counts)
def test_a_bucket_holds_what_it_is_made_for(size: Size) -> None:
    made = bucket(size)
    assert all(room % step == 0 for room, step in zip(made, STEP, strict=True))
    assert best_fit([made], size) == made
    # Room for some more edges and pairs, but never for some where there were none.
    for name in ("num_edges", "num_far_pairs"):
        number, room = getattr(size, name), getattr(made, name)
        assert number * 17 / 16 <= room < number * 17 / 16 + 16


@given(counts, counts)
def test_a_bucket_serves_what_it_holds_without_waste(size: Size, other: Size) -> None:
    made = bucket(other)
    holds = all(number <= room for number, room in zip(size, made, strict=True))
    wastes = any(
        room > (1 + WASTE) * number + few for number, room, few in zip(size, made, FEW, strict=True)
    )
    assert (best_fit([made], size) is not None) == (holds and not wastes)


def test_the_cheapest_bucket_that_fits_is_taken() -> None:
    buckets = [Size(1200, 0, 64), Size(1100, 0, 72), Size(1040, 0, 72), Size(900, 0, 72)]
    assert best_fit(buckets, Size(1000, 0, 65)) == (1040, 0, 72)
    assert best_fit(buckets, Size(1041, 0, 65)) == (1100, 0, 72)
    assert best_fit(buckets, Size(1150, 0, 65)) is None
    assert best_fit(buckets, Size(500, 0, 65)) is None


@pytest.mark.parametrize("factor", [1.3, 3.0])
def test_few_buckets_serve_a_growing_graph(factor: float) -> None:
    buckets: list[Size] = []
    for edges in range(10_000, int(10_000 * factor)):
        size = Size(edges, 0, 513)
        if best_fit(buckets, size) is None:
            buckets.append(bucket(size))
    assert len(buckets) <= {1.3: 5, 3.0: 19}[factor]
