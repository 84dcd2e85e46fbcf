"""Volumes under a barostat have the distribution that theory gives them."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from benchmarks.ensembles import (
    BAROSTATS,
    CASES,
    SYSTEMS,
    crystal,
    figure,
    sample_volume,
    table,
    volume_distribution,
)


@pytest.mark.parametrize(("system", "barostat"), [case for case in CASES if case[1] != "axes"])
def test_volumes(system: str, barostat: str) -> None:
    comparison = sample_volume(system, barostat, steps=3000)
    row = comparison.row()
    # Errors are those of block averages; chance passes 4 of them once in 16000.
    assert abs(row["mean_over_theory"] - 1.0) < 4.0 * row["mean_error"]
    assert abs(row["variance_over_theory"] - 1.0) < 4.0 * row["variance_error"]
    # And they are small enough to notice a cell at twice the temperature.
    assert row["variance_error"] < 0.35


@pytest.mark.parametrize("barostat", ["isotropic", "axes, a and b fixed"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_theory_is_normalised(system: str, barostat: str) -> None:
    theory = volume_distribution(system, barostat)
    spread = np.sqrt(theory.variance)
    grid = np.linspace(max(1e-3, theory.mean - 9 * spread), theory.mean + 9 * spread, 20001)
    density = theory.density(grid)
    assert np.trapezoid(density, grid) == pytest.approx(1.0, rel=1e-3)
    assert np.trapezoid(density * grid, grid) == pytest.approx(theory.mean, rel=1e-3)
    variance = np.trapezoid(density * (grid - theory.mean) ** 2, grid)
    assert variance == pytest.approx(theory.variance, rel=1e-2)


def test_forces_and_stress_of_the_crystal(rng: np.random.Generator) -> None:
    atoms, calculator, _ = crystal()
    atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(scale=0.05, size=(3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(scale=0.2, size=(8, 3))
    atoms.calc = calculator
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, atol=1e-6)
    stress = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), stress, atol=1e-7)


def test_the_figure_shows_all() -> None:
    comparisons = [sample_volume("ideal gas", barostat, steps=200) for barostat in BAROSTATS]
    titles = [axes.get_title().replace("\n", " ") for axes in figure(comparisons).axes]
    assert [title for title in titles if title] == [comparison.name for comparison in comparisons]
    assert table([comparison.row() for comparison in comparisons]).count("\n") == 5
