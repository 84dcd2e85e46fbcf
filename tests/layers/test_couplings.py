from __future__ import annotations

from itertools import product

import pytest
import torch
from e3nn import o3

from ase_geomformer.layers.couplings import clebsch_gordan, wigner_3j

TRIPLES = [
    (l1, l2, l3) for l1, l2, l3 in product(range(5), repeat=3) if abs(l1 - l2) <= l3 <= l1 + l2
]


@pytest.mark.parametrize("degrees", TRIPLES)
def test_symbols_of_e3nn(degrees: tuple[int, int, int]) -> None:
    expected = o3.wigner_3j(*degrees, dtype=torch.float64)
    torch.testing.assert_close(wigner_3j(*degrees), expected, rtol=0.0, atol=1e-12)


def test_clebsch_gordan_coefficients() -> None:
    """Two spins of one: of tables, and zero where the orders or degrees do not add up."""
    assert clebsch_gordan(1, 1, 1, -1, 0, 0) == pytest.approx(3**-0.5, abs=1e-15)
    assert clebsch_gordan(1, 1, 1, 0, 2, 1) == pytest.approx(2**-0.5, abs=1e-15)
    assert clebsch_gordan(1, 1, 1, -1, 2, 0) == pytest.approx(6**-0.5, abs=1e-15)
    assert clebsch_gordan(1, 0, 1, 0, 1, 0) == 0.0
    assert clebsch_gordan(1, 1, 1, 1, 2, 1) == 0.0
    assert clebsch_gordan(1, 0, 1, 0, 3, 0) == 0.0
