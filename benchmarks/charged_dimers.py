"""Two charged molecules apart: which models know of each other beyond the cutoff?

Ten pairs of a cation and an anion, at thirteen separations each (Grisafi, Nigam, Ceriotti, Chem.
Sci. 12, 2078 (2021)). Models learn energies and forces of the ten nearest separations and predict
the three farthest, where no atom of one molecule is within the cutoff of the other: a local model
can only continue what it last saw. With electrostatics, charges of atoms are predicted and sum to
that of the pair, but nothing tells the model what they are: it finds them through energies and
forces of the near pairs alone. The energies are those of binding, without a reference energy of
elements. From the root of a checkout with the data beside it:

    python benchmarks/charged_dimers.py --runs runs/charged_dimers
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from trained import trained

from ase_geomformer import evaluate_many
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.data.writer import write_frames
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.style import PAGE, SERIES, dress, new_figure, save_figure, styled

DATA = Path("../shared/data/charged_dimers/charge_charge.extxyz.xz")
DOCS = Path(__file__).parent.parent / "docs"
# Å. Least distances between the molecules are 2.1 to 4.3 Å in the ten frames, 4.5 to 5.0 after.
CUTOFF_A = 4.0
NEAR = 10
SO3KRATES = {"num_features": 48, "num_layers": 2, "num_heads": 4, "atomic_shifts": True}
EST = {"lmax": 2, "num_channels": 32, "steerable_width": 32, "spherical_width": 32}
GEOMFORMER = {"num_features": 32, "num_blocks": 2, "num_heads": 4}
FAR = {"electrostatics": {"long_range_cutoff": None}}
LINES = {"local": "--", "non-local": ":", "electrostatics": "-"}
# A value for each separation of each pair.
Curves = Sequence[Sequence[float]]
# Architecture, its settings, terms.
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "So3krates, local": ("so3krates-2022", SO3KRATES, {}),
    "So3krates, non-local": ("so3krates-2022", {**SO3KRATES, "nonlocal_cutoff": "uniform"}, {}),
    "So3krates, electrostatics": ("so3krates", {"num_features": 32, "num_layers": 2}, FAR),
    "EST, local": ("est", EST, {}),
    "EST, electrostatics": ("est", EST, FAR),
    "GeoMFormer, local": ("geomformer", GEOMFORMER, {}),
    "GeoMFormer, electrostatics": ("geomformer", GEOMFORMER, FAR),
}


def main() -> None:
    """Train, and write docs/benchmarks/charged_dimers.json and docs/images/charged_dimers.png."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder for data and trainings")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--steps", type=int, default=2000, help="of each training")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder for table and figure")
    options = parser.parse_args()
    pairs = binding(options.data)
    path = options.runs / "near.extxyz"
    if not path.exists():
        write_frames(path, [frame for pair in pairs for frame in pair[:NEAR]])
    curves = {"DFT": [[frame.energy for frame in pair] for pair in pairs]}
    for name in MODELS:
        folder = model(name, path, options.runs, options.steps)
        atoms = [frame.atoms for pair in pairs for frame in pair]
        found = evaluate_many(atoms, folder / "potential", ("energy",), domain="ignore")
        energies = np.array([result["energy"] for result in found])
        curves[name] = energies.reshape(len(pairs), -1).tolist()
    rows = [{"model": name, **errors(curves["DFT"], curves[name])} for name in MODELS]
    ends = np.array(curves["DFT"])[:, [NEAR - 1, -1]]
    show(rows)
    distances = [[frame.atoms.info["distance"] for frame in pair] for pair in pairs]
    content = {
        "cutoff_A": CUTOFF_A,
        "steps": options.steps,
        "change_meV": float(1000.0 * np.sqrt((np.diff(ends) ** 2).mean())),
        "rows": rows,
        "distances_A": distances,
        "energies_eV": curves,
    }
    write_text(options.docs / "benchmarks/charged_dimers.json", json.dumps(content) + "\n")
    save_figure(draw(distances, curves), options.docs / "images/charged_dimers.png")


def binding(path: Path) -> list[list[Frame]]:
    """Frames of each pair by distance, with energies relative to the two molecules alone."""
    pairs: dict[int, list[Frame]] = {}
    for frame in read_frames(DataSettings(path=str(path))):
        info = frame.atoms.info
        assert frame.energy is not None
        atoms = Atoms(frame.atoms.numbers, frame.atoms.positions)
        atoms.info["distance"] = float(info["distance"])
        energy = frame.energy - info["energyA"] - info["energyB"]
        pairs.setdefault(int(info["dimer"]), []).append(
            Frame(atoms, energy=float(energy), forces=frame.forces)
        )
    return [sorted(pair, key=lambda one: one.atoms.info["distance"]) for pair in pairs.values()]


def model(name: str, data: Path, runs: Path, steps: int) -> Path:
    """Train a model unless it is there already; the folder of its run."""
    architecture, settings, terms = MODELS[name]
    slug = name.lower().replace(", ", "-")
    content = {
        "name": f"dimers-{slug}",
        "data": {"path": str(data)},
        "split": {"validation": 10, "seed": 0},
        "model": {
            "architecture": architecture,
            "settings": {"cutoff": CUTOFF_A, **settings, **({"charge_width": 32} if terms else {})},
            "terms": terms,
            "reference_energies_eV": dict.fromkeys("HCNO", 0.0),
        },
        "loss": {"energy": {"kind": "l1", "weight": 1.0}, "forces": {"kind": "l1", "weight": 1.0}},
        "batches": {"size": 5},
        "run": {"steps": steps, "validate_every": 250, "progress": False},
    }
    return trained(runs, slug, content)


def errors(
    reference: Sequence[Sequence[float]], found: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """Root mean square errors of near and far energies, and of their change in between (meV).

    The change is that from the last separation that models learned to the farthest.
    """
    off = 1000.0 * (np.array(found) - np.array(reference))
    change = off[:, -1] - off[:, NEAR - 1]
    parts = {"near": off[:, :NEAR], "far": off[:, NEAR:], "change": change}
    return {f"{key}_rmse_meV": float(np.sqrt((part**2).mean())) for key, part in parts.items()}


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="Binding energies of charged molecules (meV)")
    for heading in ("model", "near", "far", "change beyond the cutoff"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in rows:
        table.add_row(row["model"], *(f"{value:.3g}" for value in list(row.values())[1:]))
    Console().print(table)


@styled
def draw(distances: Curves, curves: Mapping[str, Curves]) -> Figure:
    """Energies of one pair against the distance, by model."""
    figure = new_figure(PAGE, 3.6)
    axes = figure.subplots()
    dress(axes)
    colours = dict(zip(("So3krates", "EST", "GeoMFormer"), SERIES, strict=False))
    for name, values in curves.items():
        style: dict[str, Any] = {"color": "black", "marker": "o", "ms": 4, "lw": 0, "zorder": 5}
        if name in MODELS:
            architecture, kind = name.split(", ")
            style = {"color": colours[architecture], "ls": LINES[kind]}
        axes.plot(distances[0], values[0], label=name, **style)
    learned = distances[0][NEAR - 1]
    axes.axvspan((learned + distances[0][NEAR]) / 2.0, distances[0][-1], color="0.93", zorder=-1)
    axes.set_xlabel("distance of the molecules' centres (Å)")
    axes.set_ylabel("binding energy (eV)")
    axes.legend(frameon=False, fontsize=7)
    return figure


if __name__ == "__main__":
    main()
