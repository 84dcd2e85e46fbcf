"""Every figure of the package: readable in a journal's column, by everybody, in any format."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from ase_geomformer.cli import main
from ase_geomformer.runs import style
from ase_geomformer.runs.style import COLUMN, FIGURES, PAGE, SMALLEST_PT, figures_as, save_figure
from tests.figures.samples import samples

NAMES = sorted(samples(Path()))
# Boxes of text have a margin: letters that only touch are apart.
SLACK_PX = 1.0
# Quantities without a unit.
PURE = {
    "step", "steps", "optimiser step", "count", "structures", "g(r)", "mode Grüneisen parameter",
    "first principal component", "second principal component", "calls of the teacher",
}  # fmt: skip
_UNIT = r"\([^()]+\)$|^meV/K/atom$|^modes per cm|^states / THz$|^share of conductivity"


@pytest.fixture(params=NAMES)
def figure(request: pytest.FixtureRequest, tmp_path: Path) -> Figure:
    drawn = samples(tmp_path)[request.param]()
    drawn.draw_without_rendering()
    return drawn


def test_every_figure_is_here(root: Path) -> None:
    """All that make a figure are listed, and all that are listed have a sample."""
    assert {name.partition(":")[0] for name in NAMES} == set(FIGURES)
    made = set()
    for file in (root / "ase_geomformer").rglob("*.py"):
        if "new_figure(" not in (text := file.read_text(encoding="utf-8")):
            continue
        module = ".".join(file.relative_to(root / "ase_geomformer").with_suffix("").parts)
        for scope in ast.walk(ast.parse(text)):
            for part in getattr(scope, "body", []) if not isinstance(scope, ast.expr) else []:
                if isinstance(part, ast.FunctionDef) and "new_figure(" in ast.unparse(part):
                    owner = f"{scope.name}." if isinstance(scope, ast.ClassDef) else ""
                    made.add(f"{module}.{owner}{part.name}")
    assert made - {"runs.style.new_figure"} == set(FIGURES)


def test_text_is_readable_whole_and_apart(figure: Figure) -> None:
    assert figure.get_figwidth() in (COLUMN, PAGE)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = shown(figure)
    boxes = [text.get_window_extent(renderer) for text in texts]
    whole = figure.bbox
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= SMALLEST_PT, text
        inside = (
            box.x0 >= whole.x0 - SLACK_PX
            and box.y0 >= whole.y0 - SLACK_PX
            and box.x1 <= whole.x1 + SLACK_PX
            and box.y1 <= whole.y1 + SLACK_PX
        )
        assert inside, f"{text.get_text()!r} is clipped: {box} of {whole}"
    for (one, a), (other, b) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        overlap = (
            min(a.x1, b.x1) - max(a.x0, b.x0) > SLACK_PX
            and min(a.y1, b.y1) - max(a.y0, b.y0) > SLACK_PX
        )
        assert not overlap, f"{one.get_text()!r} overlaps {other.get_text()!r}"


def test_axes_have_units(figure: Figure) -> None:
    for axes in figure.axes:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert not label or label in PURE or re.search(_UNIT, label), label


def shown(figure: Figure) -> list[Text]:
    """All texts that are drawn: of ticks, those within the limits."""
    texts = [*figure.texts, *([figure._suptitle] if figure._suptitle else [])]  # type: ignore[attr-defined]
    for axes in figure.axes:
        texts += [axes.title, axes._left_title, axes._right_title, *axes.texts]  # type: ignore[attr-defined]
        for axis in filter(lambda axis: axis.get_visible(), (axes.xaxis, axes.yaxis)):
            texts += [axis.label, axis.offsetText]
            for tick in axis._update_ticks():  # type: ignore[attr-defined]
                texts += [tick.label1, tick.label2]
        if (legend := axes.get_legend()) is not None:
            texts += [*legend.get_texts(), legend.get_title()]
    unique = list(dict.fromkeys(texts))
    return [text for text in unique if text.get_visible() and text.get_text().strip()]


def test_a_clipped_and_an_overlapping_label_are_noticed() -> None:
    """The checks above can fail."""
    for spoil in (_clip, _overlap, _shrink):
        drawn = style.new_figure(COLUMN, 2.0)
        axes = drawn.subplots()
        spoil(axes)
        drawn.draw_without_rendering()
        with pytest.raises(AssertionError):
            test_text_is_readable_whole_and_apart(drawn)


def _clip(axes: Axes) -> None:
    axes.set_title("so long a title that it leaves the figure on both of its sides, and more")


def _overlap(axes: Axes) -> None:
    axes.set_xticks([0.5, 0.51], ["one label", "another"])


def _shrink(axes: Axes) -> None:
    axes.set_title("small", fontsize=6)


# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1.
_BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3).tolist(),
}  # fmt: skip


@pytest.mark.parametrize("kind", _BLINDNESS)
def test_colours_are_told_apart_by_the_colour_blind(kind: str) -> None:
    matrix = np.array(_BLINDNESS[kind])
    for one, other in itertools.combinations(style.SERIES, 2):
        distance = np.linalg.norm(_lab(one, matrix) - _lab(other, matrix))
        assert distance > 11.0, (one, other, distance)


def _lab(colour: str, matrix: Any) -> Any:
    """CIE L*a*b* (D65) of an sRGB colour as seen through a matrix of linear RGB."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0.0, 1.0)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = xyz @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_vector_formats_keep_text(tmp_path: Path) -> None:
    drawn = samples(tmp_path)["recipes.equation_of_state.figure.plot"]()
    for kind, head in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        with figures_as(kind):
            save_figure(drawn, tmp_path / "eos.png")
        assert (tmp_path / f"eos.{kind}").read_bytes().startswith(head)
        assert (tmp_path / "eos.png").read_bytes().startswith(b"\x89PNG")
    assert "meV/atom" in (tmp_path / "eos.svg").read_text(encoding="utf-8")
    (tmp_path / "eos.svg").unlink()
    save_figure(drawn, tmp_path / "eos.png")  # the format counts for the block alone
    assert not (tmp_path / "eos.svg").exists()


def test_the_option(tmp_path: Path) -> None:
    run = [
        "eos", "--calculator", "emt", "--structure",
        "examples/structures/copper.cif", "--output", str(tmp_path / "run"), "--progress", "false",
    ]  # fmt: skip
    assert main([*run, "--figure_format", "pdf"]) == 0
    assert (tmp_path / "run" / "eos.pdf").exists()
    assert "figure_format" not in (tmp_path / "run" / "settings.yaml").read_text()
    assert main([*run, "--overwrite"]) == 0
    assert not (tmp_path / "run" / "eos.pdf").exists()
    assert (tmp_path / "run" / "eos.png").exists()


def test_a_single_row_of_replicas_is_seen() -> None:
    """Runs that were stopped at once have no curve and no histogram."""
    few = SimpleNamespace(
        replicas=[
            SimpleNamespace(
                log={
                    "time_fs": np.zeros(1), "temperature_K": np.array([kelvin]),
                    "potential_energy_eV": np.array([0.01 * kelvin]),
                }
            )
            for kelvin in (300.0, 360.0)
        ],
        temperatures_K=[300.0, 360.0], acceptance=[],
    )  # fmt: skip
    upper, lower = FIGURES["md.replicas.figure.plot"](few).axes
    assert [line.get_marker() for line in upper.lines] == ["o", "o"]
    assert [line.get_xdata()[0] for line in lower.lines] == [3.0, 3.6]
