"""Charts of curves as plain data, joined for several runs, and as plotly.js draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ase_geomformer.runs.style import GREY, SERIES

# Points of one curve on the page; longer ones are thinned evenly.
MOST_POINTS = 2000


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of a chart.

    Attributes
    ----------
    name : str
        For the legend.
    x, y : (n,) array
    points : bool
        Draw points in place of a line.
    group : str
        Curves of one group share a colour and a line of the legend; the name, if left out.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    points: bool = False
    group: str = ""

    @property
    def key(self) -> str:
        return self.group or self.name


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves with common axes.

    Attributes
    ----------
    title, x_label, y_label : str
        Labels hold the unit. Charts of several runs are joined where all three agree.
    curves : tuple of Curve
    ticks : tuple of (float, str)
        Places with a name on the x axis, such as points of a path in reciprocal space.
    log_x, log_y : bool
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    ticks: tuple[tuple[float, str], ...] = field(default=())
    log_x: bool = False
    log_y: bool = False


def joined(runs: Mapping[str, Sequence[Chart]]) -> list[Chart]:
    """The charts of several runs, those of the same quantity in one.

    Parameters
    ----------
    runs : mapping of str to sequence of Chart
        The charts of each run by its name.
    """
    found: dict[tuple[str, ...], Chart] = {}
    for run, charts in runs.items():
        for chart in charts:
            named = replace(chart, curves=tuple(_named(run, chart, one) for one in chart.curves))
            # Names of the ticks tell which path in reciprocal space it is.
            key = (chart.title, chart.x_label, chart.y_label, *(name for _, name in chart.ticks))
            first = found.get(key)
            found[key] = named if first is None else _added(first, named)
    return list(found.values())


def _named(run: str, chart: Chart, curve: Curve) -> Curve:
    alone = len({one.key for one in chart.curves}) == 1
    name = run if alone else f"{run}: {curve.key}"
    return replace(curve, name=name, group=name)


def _added(first: Chart, other: Chart) -> Chart:
    """The first chart with the curves of the other, moved onto the ticks of the first."""
    if first.ticks:
        there = [place for place, _ in other.ticks]
        here = [place for place, _ in first.ticks]
        moved = tuple(replace(one, x=np.interp(one.x, there, here)) for one in other.curves)
    else:
        moved = other.curves
    return replace(first, curves=first.curves + moved)


def to_plotly(chart: Chart) -> dict[str, Any]:
    """Traces and layout of a chart for plotly.js."""
    groups = list(dict.fromkeys(curve.key for curve in chart.curves))
    colours = {key: SERIES[number % len(SERIES)] for number, key in enumerate(groups)}
    seen: set[str] = set()
    traces = []
    for curve in chart.curves:
        x, y = _thinned(curve)
        traces.append({
            "type": "scatter",
            "mode": "markers" if curve.points else "lines",
            "name": curve.key,
            "legendgroup": curve.key,
            "showlegend": len(groups) > 1 and curve.key not in seen,
            "x": _numbers(x),
            "y": _numbers(y),
            "line": {"color": colours[curve.key], "width": 1.6},
            "marker": {"color": colours[curve.key], "size": 6},
        })  # fmt: skip
        seen.add(curve.key)
    return {"title": chart.title, "traces": traces, "layout": _layout(chart)}


def _layout(chart: Chart) -> dict[str, Any]:
    x_axis: dict[str, Any] = {"title": {"text": chart.x_label}}
    y_axis: dict[str, Any] = {"title": {"text": chart.y_label}}
    layout: dict[str, Any] = {"xaxis": x_axis, "yaxis": y_axis}
    if chart.log_x:
        x_axis["type"] = "log"
    if chart.log_y:
        y_axis["type"] = "log"
    if chart.ticks:
        places, names = zip(*chart.ticks, strict=True)
        x_axis |= {
            "tickvals": list(places),
            "ticktext": list(names),
            "range": [places[0], places[-1]],
        }
        layout["shapes"] = [
            {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"color": GREY, "width": 0.7}}
            for place in places
        ]  # fmt: skip
    return layout


def _thinned(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    step = max(1, -(-len(curve.x) // MOST_POINTS))
    return np.asarray(curve.x)[::step], np.asarray(curve.y)[::step]


def _numbers(values: Iterable[float]) -> list[float | None]:
    """Seven digits of each number; None for what is not finite, where a curve has a gap."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]
