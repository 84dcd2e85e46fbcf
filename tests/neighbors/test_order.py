"""Edges as integers: packing, sorting, unpacking."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ase_geomformer.neighbors.order import EdgeOrder
from tests.neighbors.structures import rows

pytestmark = pytest.mark.quick


@given(
    atoms=st.integers(1, 2**20),
    reach=st.tuples(*[st.integers(0, 60)] * 3),
    seed=st.integers(0, 2**32),
)
def test_sorting_integers_sorts_edges(atoms: int, reach: tuple[int, int, int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Few distinct values, so that ties in every column but the last are decided by the next.
    i, j = torch.randint(atoms, (2, 50), generator=generator) % 3 * (atoms // 3)
    bounds = torch.tensor(reach)
    shifts = torch.stack(
        [torch.randint(-n, n + 1, (50,), generator=generator) for n in reach], dim=1
    )
    assert (shifts.abs() <= bounds).all()
    edges = EdgeOrder(atoms, reach).sort(i, j, shifts, mirror=True)
    one_way = [(a, b, *s) for a, b, s in zip(i.tolist(), j.tolist(), shifts.tolist(), strict=True)]
    other_way = [(b, a, -x, -y, -z) for a, b, x, y, z in one_way]
    assert rows(edges).tolist() == [list(edge) for edge in sorted(one_way + other_way)]


def test_edges_that_do_not_fit_are_refused() -> None:
    EdgeOrder(2**21, (60, 60, 60))
    with pytest.raises(ValueError, match=r"2097153 atoms with up to \(60, 60, 60\)"):
        EdgeOrder(2**21 + 1, (60, 60, 60))
