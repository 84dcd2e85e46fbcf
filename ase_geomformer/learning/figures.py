"""Figures of a run of learn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import Predicted
from ase_geomformer.learning.selection import descriptor
from ase_geomformer.learning.state import RoundRecord
from ase_geomformer.runs.style import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    SERIES,
    drawing,
    dress,
    new_figure,
    plain_log_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
# Smallest part of the largest value that an axis shows.
SHOWN = 1e-3
LEGEND: dict[str, Any] = {
    "loc": "lower left",
    "bbox_to_anchor": (0.0, 1.0),
    "frameon": False,
}


@drawing
def progress(rounds: Sequence[RoundRecord], target_meV_per_A: float) -> Figure:
    """Errors by round against the calls of the teacher, and against time."""
    figure = new_figure(PAGE, 3.2)
    panels = figure.subplots(1, 2, sharey=True)
    xs: tuple[tuple[list[float], str], ...] = (
        ([float(record.calls) for record in rounds], "calls of the teacher"),
        ([record.elapsed_s / 60.0 for record in rounds], "time (min)"),
    )
    curves: dict[str, tuple[list[float | None], str]] = {
        "new, at the temperature": ([r.errors.get("use_meV_per_A") for r in rounds], GREEN),
        "new, hot": ([r.errors.get("hot_meV_per_A") for r in rounds], ORANGE),
        "trained with": ([r.train_mae_meV_per_A for r in rounds], GREY),
        "held back": ([r.validation_mae_meV_per_A for r in rounds], BLUE),
    }
    for axes, (x, label) in zip(panels, xs, strict=True):
        for name, (values, colour) in curves.items():
            there = [(a, b) for a, b in zip(x, values, strict=True) if b is not None]
            if there:
                axes.plot(*zip(*there, strict=True), "o-", ms=4, color=colour, label=name)
        axes.axhline(target_meV_per_A, color="black", lw=0.8, ls="--", label="target")
        axes.set_xlabel(label)
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
        dress(axes)
    panels[0].set_ylabel("force MAE (meV/Å)")
    panels[0].legend(**LEGEND, ncols=3)
    return figure


@drawing
def calibration(frames: Sequence[Frame], predicted: Sequence[Predicted], factor: float) -> Figure:
    """Errors of atoms' forces against the calibrated spread: means of tenths of the atoms."""
    errors = np.concatenate(
        [
            np.linalg.norm(one.forces - np.asarray(frame.forces), axis=1)
            for frame, one in zip(frames, predicted, strict=True)
        ]
    )
    spreads = factor * np.concatenate([one.spread for one in predicted])
    figure = new_figure(COLUMN, 3.2)
    axes = figure.subplots()
    axes.scatter(1e3 * spreads, 1e3 * errors, s=6, color=BLUE, alpha=0.35, lw=0)
    tenths = np.array_split(np.argsort(spreads), min(10, len(spreads)))
    x = [1e3 * _rms(spreads[part]) for part in tenths if len(part)]
    y = [1e3 * _rms(errors[part]) for part in tenths if len(part)]
    axes.plot(x, y, "o-", color=ORANGE, ms=5, label="root mean squares of tenths")
    ends = [max(SHOWN * max(x), min(x)), max(x)]
    axes.plot(ends, ends, color=GREY, lw=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    # Atoms whose forces vanish by symmetry would take most of the axes.
    axes.set_xlim(left=max(SHOWN * 1e3 * spreads.max(), 0.8e3 * spreads.min()))
    axes.set_ylim(bottom=max(SHOWN * 1e3 * errors.max(), 0.8e3 * errors.min()))
    axes.set_xlabel("calibrated spread (meV/Å)")
    axes.set_ylabel("force error (meV/Å)")
    dress(axes)
    axes.legend(**LEGEND)
    return figure


@drawing
def coverage(frames: Sequence[Frame]) -> Figure:
    """Where the labels lie: two principal components of their descriptors, by origin."""
    bonded = [frame for frame in frames if len(frame.atoms) > 1]
    elements = sorted({int(number) for frame in bonded for number in frame.atoms.numbers})
    rows = np.array([descriptor(frame.atoms, elements) for frame in bonded])
    centred = rows - rows.mean(axis=0)
    _, _, axes_of = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes_of[:2].T if len(axes_of) > 1 else np.zeros((len(rows), 2))
    figure = new_figure(COLUMN, 3.2)
    axes = figure.subplots()
    origins = [str(frame.atoms.info.get("origin", "")) for frame in bonded]
    for colour, origin in zip(cycle(SERIES), dict.fromkeys(origins), strict=False):
        chosen = np.array([one == origin for one in origins])
        x, y = points[chosen].T
        axes.scatter(x, y, s=14, color=colour, alpha=0.7, lw=0, label=origin)
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second principal component")
    dress(axes)
    axes.legend(**LEGEND, ncols=2)
    return figure


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
