"""Curves of one and of several runs, and names of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ase_geomformer.page.chart import MOST_POINTS, Chart, Curve, joined, to_plotly
from ase_geomformer.page.numbers import lines, split_unit


def bands(end: float, names: str) -> Chart:
    x = np.linspace(0.0, end, 11)
    ticks = ((0.0, names[0]), (end / 2, names[1]), (end, names[2]))
    return Chart("Bands", "", "THz", (Curve("bands", x, x / end),), ticks=ticks)


def test_bands_of_two_crystals_share_the_points_of_the_path() -> None:
    (chart,) = joined({"a": [bands(1.0, "ΓXL")], "b": [bands(3.0, "ΓXL")]})
    first, second = chart.curves
    assert np.allclose(first.x, second.x)
    assert [curve.name for curve in chart.curves] == ["a", "b"]


def test_bands_along_other_paths_stay_apart() -> None:
    assert len(joined({"a": [bands(1.0, "ΓXL")], "b": [bands(1.0, "ΓKL")]})) == 2


def test_long_curves_are_thinned_and_gaps_stay() -> None:
    y = np.arange(10.0 * MOST_POINTS)
    y[0] = np.nan
    (trace,) = to_plotly(Chart("t", "x", "y", (Curve("c", y, y),)))["traces"]
    assert len(trace["y"]) == MOST_POINTS
    assert trace["y"][0] is None
    assert trace["y"][1] == 10.0


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("volume_A3_per_atom", ("volume", "Å³/atom")),
        ("drift_meV_per_atom_per_ps", ("drift", "meV/atom/ps")),
        ("frequencies_per_cm", ("frequencies", "1/cm")),
        ("conductivity_W_per_mK", ("conductivity", "W/(m K)")),
        ("fmax_eV_per_A", ("fmax", "eV/Å")),
        ("steps_per_second", ("steps per second", "")),
        ("number_of_atoms", ("number of atoms", "")),
        ("K", ("K", "")),
    ],
)
def test_units_are_read_from_names(key: str, expected: tuple[str, str]) -> None:
    assert split_unit(key) == expected


def test_lines_leave_out_what_is_long_or_deep() -> None:
    content = {
        "energy_eV": -1.5,
        "averages": {"temperature_K": {"mean": 300.0, "std": 5.0}},
        "fits": {"sj": {"volume_A3": 1.0}},
        "temperatures_K": list(range(100)),
        "lattice_A": [1.0, 2.0, 3.0],
        "stable": True,
        "damage": None,
    }
    assert list(lines(content)) == [
        ("energy", "-1.5", "eV"),
        ("mean of temperature", "300", "K"),
        ("standard deviation of temperature", "5", "K"),
        ("lattice", "1  2  3", "Å"),
        ("stable", "yes", ""),
    ]


def test_numbers_of_learning_have_names_that_say_what_they_are() -> None:
    content = {"errors": {"use_meV_per_A": 40.0, "other_K": 3.0, "selftest": "passed"}, "calls": 70}
    assert list(lines(content)) == [
        ("force error at the temperature of use", "40", "meV/Å"),
        ("errors, other", "3", "K"),
        ("self-test", "passed", ""),
        ("calls of the teacher", "70", ""),
    ]
