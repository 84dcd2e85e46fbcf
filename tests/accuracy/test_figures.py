from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ase_geomformer.accuracy.comparison import Comparison
from ase_geomformer.accuracy.evaluation import Evaluation
from ase_geomformer.accuracy.figures import (
    CURVES,
    SHADED_FROM,
    errors_by_element,
    learning_curve,
    parity,
)
from ase_geomformer.data.frames import Frame
from ase_geomformer.runs.style import save_figure

METRICS = """epoch,step,\
train_loss,train_mae_forces_meV_per_A,train_mae_energy_meV_per_atom,\
val_loss,val_mae_forces_meV_per_A,val_mae_energy_meV_per_atom
0,0,9.0,300.0,40.0,,,
0,4,,,,5.0,200.0,30.0
1,9,1.0,30.0,4.0,,,
1,9,,,,0.6,25.0,3.5
"""


def evaluation(structures: list[Atoms], targets: str = "energy forces stress") -> Evaluation:
    """Predictions that are 2 meV/atom, 10 meV/Å and 0.01 eV/Å^3 too high."""
    rng = np.random.default_rng(0)
    frames = tuple(Frame(atoms) for atoms in structures)
    sizes = np.array([len(structure) for structure in structures])
    count, atoms = len(sizes), sizes.sum()
    composed = np.array([-13.6 * (structure.numbers**2.0).sum() for structure in structures])
    energies = composed + 0.01 * rng.normal(size=count)
    forces, stress = rng.normal(size=(atoms, 3)), 0.1 * rng.normal(size=(count, 3, 3))
    every = {
        "energy": Comparison(energies, energies + 0.002 * sizes, np.arange(count)),
        "forces": Comparison(forces, forces + 0.01, np.arange(atoms)),
        "stress": Comparison(stress, stress + 0.01, np.arange(count)),
    }
    return Evaluation(frames, {target: every[target] for target in targets.split()})


@pytest.fixture
def molecules() -> list[Atoms]:
    return [molecule("CH3CH2OH"), molecule("H2O"), molecule("CH4")] * 4


def texts(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def test_parity_has_a_column_for_each_target(molecules: list[Atoms]) -> None:
    figure = parity(evaluation(molecules))
    assert isinstance(figure.canvas, FigureCanvasAgg)
    panels, histograms = figure.axes[:3], figure.axes[3:]
    assert [axes.get_xlabel() for axes in panels] == [
        "reference (meV/atom)",
        "reference (eV/Å)",
        "reference (GPa)",
    ]
    assert [axes.get_ylabel() for axes in panels] == [
        "predicted (meV/atom)",
        "predicted (eV/Å)",
        "predicted (GPa)",
    ]
    assert [axes.get_xlabel() for axes in histograms] == [
        "error (meV/atom)",
        "error (meV/Å)",
        "error (GPa)",
    ]
    assert texts(panels[0]) == "MAE 2 meV/atom\nRMSE 2 meV/atom"
    assert texts(panels[1]) == "MAE 10 meV/Å\nRMSE 10 meV/Å"
    assert texts(panels[2]) == "MAE 1.6 GPa\nRMSE 1.6 GPa"


def test_parity_shows_only_what_is_labelled(molecules: list[Atoms]) -> None:
    figure = parity(evaluation(molecules, "forces"))
    assert [axes.get_xlabel() for axes in figure.axes] == ["reference (eV/Å)", "error (meV/Å)"]


def test_energies_are_shown_without_what_composition_explains(molecules: list[Atoms]) -> None:
    """Total energies differ by kilo-electronvolts, the points by the noise of 10 meV."""
    figure = parity(evaluation(molecules, "energy"))
    points = figure.axes[0].collections[0].get_offsets()
    assert np.abs(points[:, 0]).max() < 10.0
    np.testing.assert_allclose(points[:, 1] - points[:, 0], 2.0, atol=1e-6)


def test_many_points_are_shaded_by_density(molecules: list[Atoms]) -> None:
    many = evaluation(molecules * 4, "forces")
    size = many.comparisons["forces"].reference.size
    assert size > SHADED_FROM
    points = parity(many).axes[0].collections[0]
    assert len(points.get_offsets()) == len(points.get_array()) == size
    middle = np.linalg.norm(points.get_offsets(), axis=1) < 0.3
    shade = np.asarray(points.get_array())
    assert shade[middle].mean() > shade[~middle].mean()


def test_histogram_counts_every_error(molecules: list[Atoms]) -> None:
    figure = parity(evaluation(molecules, "stress"))
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 9 * len(molecules)


@pytest.mark.parametrize("copies", [1, 20])
def test_perfect_predictions_can_be_drawn(
    molecules: list[Atoms], copies: int, tmp_path: Path
) -> None:
    some = evaluation(molecules * copies)
    perfect = {
        target: Comparison(found.reference, found.reference, found.rows)
        for target, found in some.comparisons.items()
    }
    save_figure(parity(Evaluation(some.frames, perfect)), tmp_path / "parity.png")
    assert (tmp_path / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_learning_curve_joins_training_and_validation(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(METRICS)
    figure = learning_curve(path)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "forces MAE (meV/Å)",
        "energy MAE (meV/atom)",
    ]
    for axes in figure.axes:
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert axes.get_xlabel() == "optimiser step"
    training, validation = figure.axes[0].lines
    assert training.get_xydata().tolist() == [[1, 300], [10, 30]]
    assert validation.get_xydata().tolist() == [[5, 200], [10, 25]]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "training",
        "validation (last 3.5)",
    ]


def test_a_long_learning_curve_is_averaged_over_intervals(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    rows = [f"{step},{20.0 if step % 2 else 10.0}" for step in range(10_000)]
    path.write_text("\n".join(["step,train_mae_forces_meV_per_A", *rows, ""]))
    (line,) = learning_curve(path).axes[0].lines
    steps, values = line.get_data()
    assert len(steps) <= 80
    assert np.all(np.diff(steps) > 0)
    np.testing.assert_allclose(values[-20:], 15.0, rtol=0.01)


def test_the_axis_of_a_learning_curve_follows_validation(tmp_path: Path) -> None:
    name = CURVES["forces"][0]
    path = tmp_path / "metrics.csv"
    rows = [f"{step},{1e-4 if step == 3 else 30.0}," for step in range(8)] + ["8,,20.0"]
    path.write_text("\n".join([f"step,train_{name},val_{name}", *rows]) + "\n")
    bottom, top = learning_curve(path).axes[0].get_ylim()
    assert 2.0 < bottom < 20.0 < 30.0 < top


def test_ticks_of_learning_curves_are_plain_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    rows = [f"{step},{100.0 / (1 + step)}" for step in range(12)]
    path.write_text("\n".join(["step,train_mae_forces_meV_per_A", *rows, ""]))
    figure = learning_curve(path)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for axis, kind in itertools.product((axes.xaxis, axes.yaxis), ("major", "minor")):
        labels = [label.get_text() for label in axis.get_ticklabels(which=kind)]
        assert not any("$" in text or "10^" in text for text in labels)
        assert kind == "minor" or {"5", "10"} & set(labels)


def test_a_table_without_errors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n0,1.0\n")
    with pytest.raises(ValueError, match=r"no error columns.*step, loss"):
        learning_curve(path)


def test_errors_by_element_are_labelled_with_their_numbers(molecules: list[Atoms]) -> None:
    axes = errors_by_element(evaluation(molecules)).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["H  (48 atoms)", "C  (12 atoms)", "O  (8 atoms)"]
    assert axes.get_xlabel() == "force error (meV/Å)"
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([10.0] * 3)
    numbers = [text.get_text() for text in axes.texts]
    assert [text.split(" / ")[0] for text in numbers] == ["10"] * 3
    # Beyond the marks, and inside the panel.
    axes.figure.draw_without_rendering()
    frame = axes.get_window_extent()
    for text in axes.texts:
        assert text.get_window_extent().x1 < frame.x1
    with pytest.raises(ValueError, match="no frame has forces"):
        errors_by_element(evaluation(molecules, "energy"))


def test_figures_leave_pyplot_alone(root: Path, run_python: Callable) -> None:
    done = run_python(
        "-c",
        "import sys, ase_geomformer.accuracy.figures as f, ase_geomformer.runs.style as s\n"
        "s.new_figure(1, 1)\n"
        "print('matplotlib.pyplot' in sys.modules)",
        cwd=root,
    )
    assert done.stdout.strip() == "False"
