"""Positions of charged particles a thousand steps ahead: GeoMFormer's direct vectors on N-body.

The experiment of Satorras et al., EGNN (ICML 2021): from positions, velocities and charges of five
particles, their positions one time unit later are predicted; the figure is the mean square error
over 2000 test trajectories, for the weights that are best in validation. GeoMFormer has the paper's
form: all pairs, vectors only, centred positions. EGNN, whose error is published, tells whether the
data are the same. From the root of a checkout:

    python benchmarks/nbody.py --models EGNN --width 64 --layers 4 --steps 12000
    python benchmarks/nbody.py --models "GeoMFormer, strengthened" --width 16 --layers 2

Each training replaces its row in docs/benchmarks/nbody.json, and the figure is drawn again.
"""

from __future__ import annotations

import json
import math
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import torch
from charged_particles import DURATION, SPLIT, Trajectories, published_split
from matplotlib.figure import Figure
from nbody_models import MODELS
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shipped import ROOT
from torch import nn

from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import PAGE, SERIES, dress, new_figure, save_figure

DOCS = ROOT / "docs"
BATCH = 100
VALIDATIONS = 20

# Mean square errors as published: Satorras et al. (2021), table 2; Chen et al. (2024).
PUBLISHED = {
    "SE(3)-Transformer": 0.0244,
    "TFN": 0.0155,
    "GNN": 0.0107,
    "Radial Field": 0.0104,
    "EGNN": 0.0071,
    "GeoMFormer": 0.0047,
}


def main() -> None:
    """Generate, train, test, and write table and figure."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--learning_rate", type=float, default=2e-3)
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder for table and figure")
    options = parser.parse_args()
    file = options.docs / "benchmarks" / "nbody.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    data = published_split()
    rows: dict[str, Any] = known.get("rows", {})
    for name in options.models:
        torch.manual_seed(0)
        model = MODELS[name](options.width, options.layers).float()
        row = train(model, data, options.steps, options.learning_rate)
        rows[f"{name}, {options.width} x {options.layers}"] = row
    test = data["test"]
    straight = test.positions + test.velocities * DURATION
    result = {
        "straight_motion": float((straight - test.targets).square().mean()),
        "published": PUBLISHED,
        "rows": dict(sorted(rows.items())),
        "torch": torch.__version__,
    }
    show(result)
    write_text(file, to_json(result))
    save_figure(draw(result), options.docs / "images" / "nbody.png")


def train(
    model: nn.Module, data: dict[str, Trajectories], steps: int, rate: float
) -> dict[str, Any]:
    """Errors of the weights that are best in validation, and all errors on the way."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-8)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, total_steps=steps, pct_start=0.05, final_div_factor=1e3
    )
    best, curve = {"validation": math.inf}, []
    generator = torch.Generator().manual_seed(0)
    per_pass = SPLIT["train"] // BATCH
    begin, spent = time.process_time(), 0.0
    with Progress() as progress:
        task = progress.add_task("training", total=steps)
        for step in range(steps):
            if step % per_pass == 0:
                order = torch.randperm(SPLIT["train"], generator=generator).split(BATCH)
            batch = data["train"][order[step % per_pass]]
            optimizer.zero_grad()
            predicted = model(batch.charges, batch.positions, batch.velocities)
            (predicted - batch.targets).square().mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if (step + 1) % max(1, steps // VALIDATIONS) == 0:
                spent += time.process_time() - begin
                errors = {name: mean_square_error(model, part) for name, part in data.items()}
                curve.append({"passes": (step + 1) / per_pass, **errors})
                best = min(best, curve[-1], key=lambda point: point["validation"])
                progress.console.print(f"step {step + 1}: {errors}")
                begin = time.process_time()
            progress.advance(task)
    return {
        **best,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "cpu_minutes": spent / 60.0,
        "curve": curve,
    }


def mean_square_error(model: nn.Module, data: Trajectories) -> float:
    """Mean square error of a set, by component."""
    with torch.no_grad():
        predicted = [
            model(part.charges, part.positions, part.velocities)
            for part in (data[first : first + 500] for first in range(0, len(data), 500))
        ]
    return float((torch.cat(predicted) - data.targets).square().mean())


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("model", "test", "training", "passes", box=SIMPLE_HEAD)
    table.add_row("straight motion", f"{result['straight_motion']:.4f}", "", "")
    for name, error in PUBLISHED.items():
        table.add_row(f"{name}, published", f"{error:.4f}", "", "")
    for name, row in result["rows"].items():
        errors = f"{row['test']:.4f}", f"{row['train']:.4f}"
        table.add_row(name, *errors, f"{row['passes']:.0f}")
    Console().print(table)


def draw(result: dict[str, Any]) -> Figure:
    """Errors of training and validation against the passes through the data."""
    figure = new_figure(PAGE, 3.6)
    axes = figure.subplots()
    for number, (name, row) in enumerate(result["rows"].items()):
        passes = [point["passes"] for point in row["curve"]]
        for part, line in (("train", ":"), ("validation", "-")):
            axes.loglog(
                passes,
                [point[part] for point in row["curve"]],
                line,
                color=SERIES[number],
                label=name if part == "validation" else None,
            )
    for name in ("EGNN", "GeoMFormer"):
        axes.axhline(PUBLISHED[name], color="0.6", lw=0.8)
        axes.annotate(
            f"{name}, published", (0.01, PUBLISHED[name]), xycoords=("axes fraction", "data"),
            ha="left", va="bottom", color="0.4",
        )  # fmt: skip
    axes.set_xlabel("Passes through the training data")
    axes.set_ylabel("Mean square error")
    axes.set_title("Dotted: training; full: validation")
    axes.legend()
    dress(axes)
    return figure


if __name__ == "__main__":
    main()
