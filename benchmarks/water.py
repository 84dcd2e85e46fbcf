"""Liquid water with SO3LR at 300 K and 1 bar: density, structure and diffusion beside experiment.

64 molecules of heavy water, whose stretches allow steps of 1 fs: density and structure of classical
nuclei do not depend on their masses. The structure is a frame of a simulation of the liquid.

    ase-geomformer models get so3lr
    ase-geomformer models compile so3lr
    nice python benchmarks/water.py --structure water64.extxyz --runs runs/water --steps 100000
    python benchmarks/water.py --runs runs/water --analyse --equilibration 2000 \\
        --experiment ../shared/data/reference_tables/water_rdf_exp-goo-T295.1K

A run that is started again resumes. Writes docs/benchmarks/so3lr-water.json, which
benchmarks/so3lr.py makes a section of docs/so3lr.md of, and docs/images/so3lr-water.png.
"""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from ase.data import atomic_masses
from ase.io import read
from matplotlib.figure import Figure

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import write_text
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import (
    Frames,
    block_average,
    load_frames,
    mean_square_displacement,
    radial_distribution,
)
from ase_geomformer.runs.style import BLUE, dress, new_figure, save_figure

DOCS = Path(__file__).parent.parent / "docs"
DEUTERIUM = 2.014  # amu
FARTHEST_A, BINS, BLOCKS = 6.0, 100, 4
# Pieces of the run for diffusion: molecules rattle among their neighbours for the first picosecond.
HALVES = 2
SETTINGS = MDSettings(
    ensemble="npt-mtk",
    temperature_K=300.0,
    pressure_GPa=1e-4,
    barostat_time_fs=500.0,
    timestep_fs=1.0,
    log_interval=10,
    trajectory_interval=10,
    checkpoint_interval=200,
    seed=1,
)


def main() -> None:
    """Run or resume, or analyse what has been run."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="so3lr")
    parser.add_argument("--structure", type=Path, help="to start from")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the run; it resumes")
    parser.add_argument("--steps", type=int, default=100000)
    parser.add_argument("--analyse", action="store_true", help="do not run")
    parser.add_argument("--equilibration", type=int, default=2000, help="steps to leave out")
    parser.add_argument("--experiment", type=Path, help="distance (Å) and g(r) in two columns")
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    if not options.analyse:
        run(options.potential, options.structure, options.runs, options.steps)
    content = analysed(options.runs, options.equilibration)
    experiment = None if options.experiment is None else measured(options.experiment)
    if experiment is not None:
        content["experiment"] = peak(*experiment.T)
    write_text(options.docs / "benchmarks/so3lr-water.json", json.dumps(content, indent=1) + "\n")
    save_figure(draw(content, experiment), options.docs / "images/so3lr-water.png")
    print({name: entry for name, entry in content.items() if not isinstance(entry, list)})


def run(potential: str, structure: Path, folder: Path, steps: int) -> None:
    """Run, or resume the run in the folder, in float32."""
    atoms = read(structure)
    atoms.set_masses(np.where(atoms.numbers == 1, DEUTERIUM, atoms.get_masses()))
    calculator = PotentialCalculator(potential, device="cpu", dtype="float32")
    run_md(atoms, calculator, replace(SETTINGS, steps=steps), output=folder, resume=True)


def analysed(folder: Path, equilibration: int) -> dict[str, Any]:
    """Averages with errors over the steps after the first ones."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) > equilibration]
    column = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    frames = load_frames(folder)[1 + equilibration // SETTINGS.trajectory_interval :]
    molecules = int(frames.select("O").sum())
    weight = molecules * (atomic_masses[8] + 2 * atomic_masses[1])
    density = block_average(weight / column["volume_A3"] * units._amu * 1e27)
    times = column["time_fs"] / 1000.0
    drift = np.polyfit(times, column["conserved_energy_eV"], 1)[0] / len(frames.numbers)
    g, error = rdf_with_error(frames)
    spread = mean_square_displacement(scaled(frames), "O", unwrap=False, parts=HALVES)
    return {
        "molecules": molecules,
        "equilibration_ps": equilibration * SETTINGS.timestep_fs / 1000.0,
        "length_ps": float(len(rows) * SETTINGS.log_interval * SETTINGS.timestep_fs / 1000.0),
        "temperature_K": vars(block_average(column["temperature_K"])),
        "density_g_per_cm3": vars(density),
        "drift_meV_per_atom_per_ps": float(1000.0 * drift),
        "diffusion_A2_per_ps": spread.diffusion_A2_per_ps,
        "diffusion_error_A2_per_ps": spread.error_A2_per_ps,
        "mean_edge_A": float(np.mean(column["volume_A3"]) ** (1 / 3)),
        "peak": peak(distances(), g),
        "peak_error": float(error[np.argmax(g)]),
        "distance_A": distances().tolist(),
        "g_OO": g.tolist(),
        "g_OO_error": error.tolist(),
    }


def distances() -> np.ndarray:
    edges = np.linspace(0.0, FARTHEST_A, BINS + 1)
    return 0.5 * (edges[1:] + edges[:-1])


def rdf_with_error(frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """g(r) and its standard error, from the spread of consecutive blocks."""
    length = len(frames) // BLOCKS
    blocks = [
        radial_distribution(
            frames[start * length : (start + 1) * length],
            "O",
            "O",
            max_distance=FARTHEST_A,
            bins=BINS,
        ).g
        for start in range(BLOCKS)
    ]
    return np.mean(blocks, axis=0), np.std(blocks, axis=0, ddof=1) / np.sqrt(BLOCKS)


def scaled(frames: Frames) -> Frames:
    """The frames in their mean cell: what the cell's breathing moves is no diffusion."""
    fractions = np.einsum("tnc,tcd->tnd", frames.positions, np.linalg.inv(frames.cells))
    mean = frames.cells.mean(axis=0)
    cells = np.broadcast_to(mean, frames.cells.shape)
    return replace(frames, positions=fractions @ mean, cells=cells)


def peak(distance: np.ndarray, g: np.ndarray) -> dict[str, float]:
    """The first maximum, and the first minimum after it."""
    first = int(np.argmax(np.where(distance < 3.2, g, 0.0)))
    between = np.where((distance > distance[first]) & (distance < 4.2), g, np.inf)
    least = int(np.argmin(between))
    return {
        "distance_A": float(distance[first]),
        "height": float(g[first]),
        "minimum_A": float(distance[least]),
        "minimum": float(g[least]),
    }


def measured(path: Path) -> np.ndarray:
    """Distance and g(r) of a table with comments, shape (rows, 2)."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            rows.append([float(entry) for entry in line.split()[:2]])
        except ValueError:
            continue
    table = np.array([row for row in rows if len(row) == 2])
    return table[table[:, 0] <= FARTHEST_A]


def draw(content: dict[str, Any], experiment: np.ndarray | None) -> Figure:
    """Both radial distributions in one figure."""
    figure = new_figure(5.6, 3.6)
    axes = figure.subplots()
    dress(axes)
    distance, g, error = (np.array(content[name]) for name in ("distance_A", "g_OO", "g_OO_error"))
    axes.axhline(1.0, color="0.8", lw=0.8)
    axes.fill_between(distance, g - error, g + error, color=BLUE, alpha=0.25, lw=0)
    axes.plot(distance, g, color=BLUE, label=f"SO3LR, 300 K, {content['length_ps']:.0f} ps")
    if experiment is not None:
        axes.plot(*experiment.T, color="black", ls="--", label="x-ray scattering, 295 K")
    axes.set_xlabel("O-O distance (Å)")
    axes.set_ylabel("g(r)")
    axes.set_xlim(2.0, FARTHEST_A)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
