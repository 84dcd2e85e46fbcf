"""Test errors of potentials trained on more and more frames, as a table and a figure.

Train with one YAML file and growing ``--split.train``, then compare the run folders:

    for n in 50 200 950; do
        ase-geomformer train potentials/so3krates-rmd17-ethanol/train.yaml \\
            --split.train $n --output runs/ethanol-$n
    done
    python benchmarks/learning_curve.py runs/ethanol-* --output docs/images/learning_curve
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from ase_geomformer.accuracy.evaluation import evaluate_frames
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.splits import Split
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.folder import SETTINGS_FILE
from ase_geomformer.runs.style import BLUE, GREY, PAGE, dress, new_figure, save_figure, styled
from ase_geomformer.training.settings_file import from_yaml

ERRORS = {
    "forces_mae_meV_per_A": "force MAE (meV/Å)",
    "energy_mae_meV_per_atom": "energy MAE (meV/atom)",
}


def main() -> None:
    """Evaluate the runs and write the table as JSON and the figure as PNG."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders of ase-geomformer train")
    parser.add_argument("--output", type=Path, required=True, help="path without suffix")
    options = parser.parse_args()
    rows = sorted((errors_of(run) for run in options.runs), key=lambda row: row["frames"])
    show(rows)
    write_text(options.output.with_suffix(".json"), json.dumps(rows, indent=1) + "\n")
    save_figure(draw(rows), options.output.with_suffix(".png"))


def errors_of(run: Path) -> dict[str, Any]:
    """Training frames, steps and test errors of one run."""
    settings = from_yaml(run / SETTINGS_FILE)
    if settings.test_data is None:
        raise ValueError(f"{run}: the training named no test_data to compare runs by")
    found = evaluate_frames(run / "potential", read_frames(settings.test_data)).to_dict()
    return {
        "frames": len(Split.load(run / "split.json").train),
        "steps": settings.run.steps,
        **{name: found[name] for name in ERRORS},
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="Errors on the test frames")
    for heading in ("training frames", "steps", *ERRORS.values()):
        table.add_column(heading, justify="right")
    for row in rows:
        errors = (f"{row[name]:.3g}" for name in ERRORS)
        table.add_row(str(row["frames"]), f"{row['steps']:,}", *errors)
    Console().print(table)


@styled
def draw(rows: list[dict[str, Any]]) -> Figure:
    """Errors against training frames on logarithmic axes, with the exponent of the power law."""
    figure = new_figure(PAGE, 3.0)
    frames = np.array([row["frames"] for row in rows], dtype=float)
    for axes, (name, label) in zip(figure.subplots(1, 2), ERRORS.items(), strict=True):
        errors = np.array([row[name] for row in rows])
        slope, offset = np.polyfit(np.log(frames), np.log(errors), 1)
        axes.loglog(frames, errors, "o", color=BLUE, ms=4, label="trained")
        fitted = np.exp(offset) * frames**slope
        axes.loglog(frames, fitted, "--", color=GREY, lw=1.0, label=f"frames$^{{{slope:.2f}}}$")
        axes.set_xlabel("training frames")
        axes.set_ylabel(label)
        axes.set_xticks(frames, [f"{value:.0f}" for value in frames])
        axes.set_yticks(errors, [f"{value:.3g}" for value in errors])
        axes.minorticks_off()
        dress(axes)
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
