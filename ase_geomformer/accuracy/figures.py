"""Figures of a training: parity of predictions, learning curve, errors by element."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from scipy.ndimage import gaussian_filter

from ase_geomformer.accuracy.errors import Array, mae, rmse
from ase_geomformer.accuracy.evaluation import Evaluation
from ase_geomformer.runs.style import (
    COLOURS,
    COLUMN,
    GREY,
    PAGE,
    drawing,
    dress,
    new_figure,
    note,
    plain_log_ticks,
    shades,
)
from ase_geomformer.runs.table import read_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Errors of training below this part of the lowest of validation are not shown.
LOWEST_SHOWN = 0.2
SHADED_FROM = 500
"""Number of points from which their density is shown by shading."""

BINS = 40
"""Along each side of the histogram that densities are read from."""


@dataclass(frozen=True, eq=False)
class Points:
    """What a column of the parity figure shows: flat arrays in the units of its labels."""

    reference: Array
    prediction: Array
    error: Array
    title: str
    unit: str
    error_unit: str


@drawing
def parity(evaluation: Evaluation) -> Figure:
    """Parity plot with the distribution of errors.

    One column for each target. Energies are shown per atom, less the least-squares fit of the
    reference energies by composition: what is left is what a potential has to know. Forces and
    stresses are shown by component.
    """
    targets = list(evaluation.comparisons)
    figure = new_figure(min(PAGE, COLUMN * len(targets)), 5.0 if len(targets) < 3 else 3.8)
    panels = figure.subplots(2, len(targets), squeeze=False, height_ratios=[3.0, 1.0])
    for target, above, below in zip(targets, *panels, strict=True):
        points = POINTS[target](evaluation)
        _draw_parity(above, points, COLOURS[target])
        _draw_histogram(below, points, COLOURS[target])
    panels[1, 0].set_ylabel("count")
    return figure


@drawing
def learning_curve(csv_path: str | os.PathLike[str]) -> Figure:
    """Mean absolute errors of training and validation against optimizer steps.

    Parameters
    ----------
    csv_path : path
        ``metrics.csv`` of a training.

    Raises
    ------
    ValueError
        If the file has none of the error columns that a training writes.
    """
    columns = read_columns(Path(csv_path))
    shown = {
        target: (name, unit)
        for target, (name, unit) in CURVES.items()
        if any(f"{part}_{name}" in columns for part in ("train", "val"))
    }
    if not shown:
        raise ValueError(
            f"{csv_path} has no error columns, such as val_{CURVES['forces'][0]}; its columns "
            f"are {', '.join(columns)}"
        )
    figure = new_figure(min(PAGE, COLUMN * len(shown)), 3.0)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (target, (name, unit)) in zip(panels, shown.items(), strict=True):
        _draw_curve(axes, columns, name, COLOURS[target])
        axes.set_ylabel(f"{target} MAE ({unit})")
    return figure


@drawing
def errors_by_element(evaluation: Evaluation) -> Figure:
    """Mean absolute and root mean square force errors of each element.

    Raises
    ------
    ValueError
        If no frame has labelled forces.
    """
    errors = evaluation.forces_by_element
    if not errors:
        raise ValueError("no frame has forces, so there are no errors by element")
    figure = new_figure(COLUMN, 1.4 + 0.38 * len(errors))
    axes = figure.subplots()
    rows = np.arange(len(errors))
    means = [found.mae_meV_per_A for found in errors.values()]
    squares = [found.rmse_meV_per_A for found in errors.values()]
    bars = axes.barh(rows, means, height=0.62, color=COLOURS["forces"], label="MAE")
    marks = axes.plot(squares, rows, "D", ms=5, color="black", label="RMSE")
    for row, mean, square in zip(rows, means, squares, strict=True):
        # Beyond bar and mark, where there is room for any number.
        axes.annotate(
            f"{mean:.3g} / {square:.3g}", (max(mean, square), row), (8, 0),
            textcoords="offset points", ha="left", va="center",
        )  # fmt: skip
    names = [f"{symbol}  ({found.atoms:,} atoms)" for symbol, found in errors.items()]
    axes.set_yticks(rows, names)
    axes.set_xlabel("force error (meV/Å)")
    axes.set_xlim(0.0, 1.35 * max(squares) or 1.0)
    axes.set_ylim(len(errors) - 0.4, -0.6)
    dress(axes)
    axes.grid(axis="y", visible=False)
    axes.legend(
        handles=[bars, *marks], loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False
    )
    return figure


def _energy_points(evaluation: Evaluation) -> Points:
    found = evaluation.comparisons["energy"]
    counts = evaluation.atom_counts[found.rows]
    numbers, place = np.unique(evaluation.atomic_numbers, return_inverse=True)
    composition = np.zeros((len(evaluation.frames), len(numbers)))
    np.add.at(composition, (evaluation.atom_frames, place), 1.0)
    composition = composition[found.rows]
    fit = composition @ np.linalg.lstsq(composition, found.reference, rcond=None)[0]
    return Points(
        reference=1e3 * (found.reference - fit) / counts,
        prediction=1e3 * (found.prediction - fit) / counts,
        error=1e3 * found.difference / counts,
        title="energies less fit by composition",
        unit="meV/atom",
        error_unit="meV/atom",
    )


def _force_points(evaluation: Evaluation) -> Points:
    found = evaluation.comparisons["forces"]
    return Points(
        reference=found.reference.ravel(),
        prediction=found.prediction.ravel(),
        error=1e3 * found.difference.ravel(),
        title="force components",
        unit="eV/Å",
        error_unit="meV/Å",
    )


def _stress_points(evaluation: Evaluation) -> Points:
    found = evaluation.comparisons["stress"]
    return Points(
        reference=found.reference.ravel() / units.GPa,
        prediction=found.prediction.ravel() / units.GPa,
        error=found.difference.ravel() / units.GPa,
        title="stress components",
        unit="GPa",
        error_unit="GPa",
    )


POINTS: dict[str, Callable[[Evaluation], Points]] = {
    "energy": _energy_points,
    "forces": _force_points,
    "stress": _stress_points,
}

CURVES = {
    "forces": ("mae_forces_meV_per_A", "meV/Å"),
    "energy": ("mae_energy_meV_per_atom", "meV/atom"),
    "stress": ("mae_stress_GPa", "GPa"),
}
"""By target: what its column is called after ``train_`` or ``val_``, and its unit."""


def _draw_parity(axes: Axes, points: Points, colour: str) -> None:
    from matplotlib.ticker import MaxNLocator

    both = np.concatenate([points.reference, points.prediction])
    margin = 0.05 * np.ptp(both) or 1.0
    limits = (both.min() - margin, both.max() + margin)
    axes.plot(limits, limits, color=GREY, lw=0.8, zorder=1)
    if len(points.error) < SHADED_FROM:
        axes.scatter(points.reference, points.prediction, s=14, color=colour, alpha=0.6, lw=0)
    else:
        density = _density(points)
        order = np.argsort(density)
        axes.scatter(
            points.reference[order], points.prediction[order], c=np.log1p(density[order]),
            cmap=shades(colour), s=4, lw=0, rasterized=True,
        )  # fmt: skip
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_box_aspect(1)
    axes.set_title(points.title)
    axes.set_xlabel(f"reference ({points.unit})")
    axes.set_ylabel(f"predicted ({points.unit})")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    unit = points.error_unit
    note(axes, f"MAE {mae(points.error):.3g} {unit}\nRMSE {rmse(points.error):.3g} {unit}")
    dress(axes)


def _density(points: Points) -> Array:
    """Number of points near each point, from a smoothed histogram over reference and error."""
    values = np.array([points.reference, points.error])
    # Large errors count as alone, so that bins are fine enough to tell the many apart.
    low, high = np.quantile(values, [0.0, 1.0], axis=1)
    low[1], high[1] = np.quantile(points.error, [0.005, 0.995])
    high = np.maximum(high, low + 1e-9)  # points that are all alike still get a histogram
    spans = np.stack([low, high], axis=1).tolist()
    counts, *_ = np.histogram2d(values[0], values[1], bins=BINS, range=spans)
    place = np.floor(BINS * (values.T - low) / (high - low))
    inside = ((place >= 0) & (place < BINS)).all(axis=1)
    row, column = place[inside].astype(int).T
    density = np.zeros(len(inside))
    density[inside] = gaussian_filter(counts, 1.0)[row, column]
    return density


def _draw_histogram(axes: Axes, points: Points, colour: str) -> None:
    reach = np.abs(points.error).max() or 1.0
    many = len(points.error) >= SHADED_FROM
    bins = 81 if many else 21  # odd: one of them is centred at zero
    axes.hist(points.error, bins=bins, range=(-reach, reach), color=colour, log=many)
    axes.axvline(0.0, color="black", lw=0.8)
    axes.set_xlim(-1.05 * reach, 1.05 * reach)
    axes.set_xlabel(f"error ({points.error_unit})")
    dress(axes)


def _draw_curve(axes: Axes, columns: dict[str, Array], name: str, colour: str) -> None:
    for part, label, shade in (("train", "training", GREY), ("val", "validation", colour)):
        values = columns.get(f"{part}_{name}")
        if values is None or not np.isfinite(values).any():
            continue
        there = np.isfinite(values)
        # Lightning counts the first step as 0, which a logarithmic axis cannot show.
        steps, values = columns["step"][there] + 1.0, values[there]
        if part == "val":
            label = f"{label} (last {values[-1]:.3g})"
        steps, values = _thinned(steps, values)
        axes.plot(
            steps, values, marker="o" if len(steps) < 10 else "", ms=4, color=shade, label=label
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    checked = columns.get(f"val_{name}", np.empty(0))
    if (checked > 0.0).any():
        # A batch of perfect crystals has no forces to be wrong about; the axis follows validation.
        bottom = LOWEST_SHOWN * checked[checked > 0.0].min()
        axes.set_ylim(bottom=max(bottom, axes.get_ylim()[0]))
    for axis in (axes.xaxis, axes.yaxis):
        plain_log_ticks(axis)
    axes.set_xlabel("optimiser step")
    dress(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False)


def _thinned(steps: Array, values: Array) -> tuple[Array, Array]:
    """Means within up to 80 intervals of equal length on a logarithmic axis."""
    edges = np.geomspace(steps.min(), steps.max() + 1.0, 81)
    _, place = np.unique(np.searchsorted(edges, steps, side="right"), return_inverse=True)
    counts = np.bincount(place)
    return np.bincount(place, steps) / counts, np.bincount(place, values) / counts
