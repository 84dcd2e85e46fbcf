"""Liquid water with SO3LR: a stable run, and its O-O radial distribution beside experiment.

The structure is 64 molecules in a periodic box; the first part of the run equilibrates.

    ase-geomformer models get so3lr
    python benchmarks/water.py --potential so3lr --structure water64.extxyz \\
        --experiment ../shared/data/reference_tables/water_rdf_exp-goo-T295.1K --runs runs/water
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase.io import read
from matplotlib.figure import Figure

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import write_text
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import RDF, load_frames, radial_distribution
from ase_geomformer.runs.style import dress, new_figure, save_figure

DOCS = Path(__file__).parent.parent / "docs"
FARTHEST_A = 6.0


def main() -> None:
    """Run, and write docs/benchmarks/water.json and docs/images/water.png."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", required=True)
    parser.add_argument("--structure", type=Path, required=True)
    parser.add_argument("--experiment", type=Path, help="distance (Å) and g(r) in two columns")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the run; it resumes")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--published", type=float, help="Å, cutoff of the published sums")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    long_range = {"long_range": "published", "long_range_cutoff": options.published}
    calculator = PotentialCalculator(
        options.potential,
        **(long_range if options.published else {}),
        dtype="float32",
        compile=options.compile,
    )
    settings = MDSettings(
        ensemble="nvt-langevin",
        temperature_K=300.0,
        timestep_fs=0.5,
        steps=options.steps,
        equilibration_steps=options.steps // 50 * 10,  # the first fifth
        trajectory_interval=20,
        seed=1,
    )
    atoms = read(options.structure)
    result = run_md(atoms, calculator, settings, output=options.runs, resume=options.runs.exists())
    first = settings.equilibration_steps // settings.trajectory_interval
    frames = load_frames(options.runs)[first:]
    rdf = radial_distribution(frames, "O", "O", max_distance=FARTHEST_A, bins=120)
    content = {
        **result.summary(),
        "published_cutoff_A": options.published,
        "frames": len(frames),
        "first_peak_A": float(rdf.distance[np.argmax(rdf.g)]),
        "first_peak_height": float(np.max(rdf.g)),
        "distance_A": rdf.distance.tolist(),
        "g_OO": np.asarray(rdf.g).tolist(),
    }
    write_text(options.docs / "benchmarks/water.json", json.dumps(content, indent=1, default=vars))
    experiment = None if options.experiment is None else measured(options.experiment)
    save_figure(draw(rdf, experiment), options.docs / "images/water.png")
    print(f"{result.reason}; first O-O peak {content['first_peak_height']:.2f} at "
          f"{content['first_peak_A']:.2f} Å; {result.steps_per_second:.1f} steps/s")  # fmt: skip


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


def draw(rdf: RDF, experiment: np.ndarray | None) -> Figure:
    """Both radial distributions in one figure."""
    figure = new_figure(5.6, 3.6)
    axes = figure.subplots()
    dress(axes)
    axes.axhline(1.0, color="0.8", lw=0.8)
    axes.plot(rdf.distance, rdf.g, label="SO3LR, 64 molecules, 300 K")
    if experiment is not None:
        axes.plot(*experiment.T, color="black", ls="--", label="x-ray scattering, 295 K")
    axes.set_xlabel("O-O distance (Å)")
    axes.set_ylabel("g(r)")
    axes.set_xlim(2.0, FARTHEST_A)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
