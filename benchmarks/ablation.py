"""Short trainings that differ in one choice each: errors, cost and size, as a table and a figure.

A study is a YAML file with a ``title``, the ``base`` settings of a training and ``variants``, each
of which changes some of them; ``seeds`` repeats every training:

    title: Cross-attention of GeoMFormer on rMD17 ethanol
    base: {data: ..., model: {architecture: geomformer, settings: {...}}, run: {steps: 3000}}
    seeds: [1, 2]
    variants:
      both: {}
      none: {model: {settings: {cross_attention: none}}}

    python benchmarks/ablation.py benchmarks/ablations/NAME.yaml --runs runs/NAME

Finished trainings are not repeated, interrupted ones go on. The speed of all variants is measured
in turns at the end, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from ase_geomformer import PotentialCalculator
from ase_geomformer.data.readers import read_frames
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.folder import RESULT_FILE
from ase_geomformer.runs.style import BLUE, PAGE, dress, new_figure, save_figure, styled
from ase_geomformer.training.run import train
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.settings_file import from_yaml

DOCS = Path(__file__).parent.parent / "docs"
COLUMNS = {
    "forces_mae_meV_per_A": "forces MAE (meV/Å)",
    "energy_mae_meV_per_atom": "energy MAE (meV/atom)",
    "step_ms": "time of energy and forces (ms)",
    "parameters": "parameters",
}


def main() -> None:
    """Train, measure, and write docs/benchmarks/NAME.json and docs/images/NAME.png."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="YAML file")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the trainings")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder for table and figure")
    options = parser.parse_args()
    study = yaml.safe_load(options.study.read_text(encoding="utf-8"))
    rows = [run_variant(study, name, options.runs) for name in study["variants"]]
    steps = measure(study, [options.runs / row["run"] for row in rows])
    for row, step in zip(rows, steps, strict=True):
        row["step_ms"] = step
    show(study["title"], rows)
    content = {"title": study["title"], "torch": torch.__version__, "rows": rows}
    name = options.study.stem
    write_text(options.docs / "benchmarks" / f"{name}.json", json.dumps(content, indent=1) + "\n")
    save_figure(draw(study["title"], rows), options.docs / "images" / f"{name}.png")


def run_variant(study: Mapping[str, Any], name: str, runs: Path) -> dict[str, Any]:
    """Train one variant with every seed: mean errors, and their spread over the seeds."""
    seeds = study.get("seeds", [1])
    found = []
    for seed in seeds:
        settings = settings_of(study, name, seed, runs)
        folder = runs / f"{slug(name)}-{seed}"
        if not (folder / RESULT_FILE).exists():
            Console().print(f"[bold]{name}[/], seed {seed}: {folder}")
            train(settings, folder, resume=folder.exists())
        found.append(json.loads((folder / RESULT_FILE).read_text(encoding="utf-8")))
    card = json.loads((folder / "potential" / "card.json").read_text(encoding="utf-8"))
    row: dict[str, Any] = {"variant": name, "run": folder.name, "seeds": len(seeds)}
    for column in ("forces_mae_meV_per_A", "energy_mae_meV_per_atom"):
        errors = [entry["test"][column] for entry in found]
        row[column] = float(np.mean(errors))
        row[f"{column}_spread"] = float(np.ptp(errors))
    return {**row, "parameters": card["num_parameters"], "steps": settings.run.steps}


def settings_of(study: Mapping[str, Any], name: str, seed: int, runs: Path) -> TrainSettings:
    """The settings of a variant, read as if they stood in a file of their own."""
    content = merged(study["base"], study["variants"][name] or {})
    content = merged(content, {"name": slug(name), "run": {"seed": seed, "progress": False}})
    path = runs / f"{slug(name)}-{seed}.yaml"
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return from_yaml(path)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with nested entries replaced by those of ``changes``."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if nested else value
    return result


def slug(name: str) -> str:
    """A variant's name as the name of a folder."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def measure(study: Mapping[str, Any], runs: list[Path], rounds: int = 30) -> list[float]:
    """Median milliseconds of energy and forces of one test frame, the runs in turns."""
    data = settings_of(study, next(iter(study["variants"])), 1, runs[0].parent).test_data
    if data is None:
        raise ValueError("the study's base needs test_data")
    atoms = read_frames(data)[0].atoms
    calculators = [PotentialCalculator(run / "potential") for run in runs]
    times = np.empty((rounds, len(runs)))
    generator = np.random.default_rng(0)
    for turn in range(-3, rounds):
        atoms.rattle(1e-3, rng=generator)
        for column, calculator in enumerate(calculators):
            start = time.perf_counter()
            calculator.get_property("forces", atoms)
            if turn >= 0:
                times[turn, column] = 1000.0 * (time.perf_counter() - start)
    return [float(value) for value in np.median(times, axis=0)]


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title=title)
    table.add_column("variant")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in rows:
        spread = f" ± {row['forces_mae_meV_per_A_spread'] / 2:.2g}" if row["seeds"] > 1 else ""
        table.add_row(
            row["variant"],
            f"{row['forces_mae_meV_per_A']:.3g}{spread}",
            f"{row['energy_mae_meV_per_atom']:.3g}",
            f"{row['step_ms']:.3g}",
            f"{row['parameters']:,}",
        )
    Console().print(table)


@styled
def draw(title: str, rows: list[dict[str, Any]]) -> Figure:
    """Force error and time of each variant as bars side by side."""
    figure = new_figure(PAGE, 1.1 + 0.25 * len(rows))
    figure.suptitle(title)
    places = np.arange(len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, ("forces_mae_meV_per_A", "step_ms"), strict=True):
        values = [row[name] for row in rows]
        spread = [row.get(f"{name}_spread", 0.0) / 2 for row in rows]
        axes.barh(places, values, xerr=spread if any(spread) else None, color=BLUE, height=0.7)
        axes.set_xlabel(COLUMNS[name])
        dress(axes)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(places, [row["variant"] for row in rows])
    panels[0].invert_yaxis()
    return figure


if __name__ == "__main__":
    main()
