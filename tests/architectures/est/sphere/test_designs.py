from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ase_geomformer.architectures.est.sphere.design_search import design_size, harmonic_means
from ase_geomformer.architectures.est.sphere.designs import DESIGN_DEGREES, t_design

REFERENCE_DEGREES = (5, 7, 9, 11, 13, 15, 17, 19, 21, 25, 29, 31)


@pytest.mark.parametrize("degree", DESIGN_DEGREES)
def test_stored_designs_are_exact_up_to_their_degree_and_no_further(degree: int) -> None:
    design = t_design(degree)
    assert design.degree == degree
    assert design.num_points == design_size(degree)
    means = harmonic_means(design.points, degree + 1)
    assert means[:-1].max() < 1e-14
    assert means[-1] > 1e-3


@pytest.mark.parametrize("degree", REFERENCE_DEGREES)
def test_as_many_points_as_the_reference_designs(shared: Path, degree: int) -> None:
    reference = np.load(shared / "fixtures" / "sphere_designs" / f"sd{degree}.npy")
    assert harmonic_means(reference, degree).max() < 1e-14
    assert t_design(degree).num_points == len(reference)


def test_the_next_degree_stands_in_for_one_that_is_missing() -> None:
    assert [t_design(degree).degree for degree in (1, 6, 12, 30)] == [3, 7, 13, 31]
