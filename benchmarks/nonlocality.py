"""A chain longer than a local model can see: the twist of a cumulene's ends.

The end groups of cumulenes, H2C=C=...=CH2, feel each other through the whole chain: their energy
depends on the angle between them, however long the chain is. Three So3krates of the 2022 generation
learn it from the same frames, labelled with GFN2-xTB through tblite: two layers that reach half
along the chain, the same two with non-local attention among the Euclidean variables (Frank, Unke,
Müller, NeurIPS 2022), and six local layers. Their cutoffs add up to more than the chain, and yet
they are as blind to the twist as two: a local layer hands on invariants and harmonics of edges,
never a neighbour's Euclidean variables, so that along a straight chain the direction of an end
group is lost behind the first atoms. Only the non-local model learns the twist.

    pip install tblite
    python benchmarks/nonlocality.py --runs runs/nonlocality
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
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
from ase_geomformer.data.writer import write_frames
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.folder import RESULT_FILE
from ase_geomformer.runs.style import PAGE, SERIES, dress, new_figure, save_figure, styled

DOCS = Path(__file__).parent.parent / "docs"
CUTOFF_A = 3.0
MODELS: dict[str, dict[str, Any]] = {
    "2 layers, local": {"num_layers": 2},
    "2 layers, non-local": {"num_layers": 2, "nonlocal_cutoff": "uniform"},
    "6 layers, local": {"num_layers": 6},
}
CC_A, CH_A, HCH_DEGREES = 1.28, 1.09, 117.0


def main() -> None:
    """Label, train, and write docs/benchmarks/nonlocality.json and docs/images/nonlocality.png."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder for data and trainings")
    parser.add_argument("--carbons", type=int, default=9, help="atoms of the chain")
    parser.add_argument("--frames", type=int, default=600, help="frames to learn from")
    parser.add_argument("--steps", type=int, default=6000, help="of each training")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder for table and figure")
    options = parser.parse_args()
    data = {name: options.runs / f"{name}.extxyz" for name in ("train", "test")}
    generator = np.random.default_rng(0)
    for (name, path), count in zip(data.items(), (options.frames, 200), strict=True):
        twists = generator.uniform(0.0, 180.0, count)
        frames = [shaken(options.carbons, twist, generator) for twist in twists]
        if not path.exists():
            write_frames(path, [labelled(atoms, f"{name} {k}") for k, atoms in enumerate(frames)])
    angles = np.linspace(0.0, 180.0, 37)
    scan = [cumulene(options.carbons, angle) for angle in angles]
    curves = {"GFN2-xTB": np.array([labelled(atoms, "scan").energy for atoms in scan])}
    rows = []
    for name, settings in MODELS.items():
        folder = model(name, settings, data, options.runs, options.steps)
        found = evaluate_many(scan, folder / "potential", ("energy",))
        curves[name] = np.array([result["energy"] for result in found])
        errors = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["test"]
        keys = ("energy_mae_meV", "forces_mae_meV_per_A")
        rows.append({"model": name, **{key: errors[key] for key in keys}})
    for row in rows:
        twist = curves[row["model"]] - curves["GFN2-xTB"]
        row["twist_error_meV"] = float(1000.0 * np.ptp(twist))
    show(rows)
    content = {
        "carbons": options.carbons,
        "frames": options.frames,
        "steps": options.steps,
        "rows": rows,
        "angle_degrees": angles.tolist(),
        "energy_eV": {name: (values - values.min()).tolist() for name, values in curves.items()},
    }
    write_text(options.docs / "benchmarks/nonlocality.json", json.dumps(content, indent=1) + "\n")
    save_figure(draw(angles, curves, options.carbons), options.docs / "images/nonlocality.png")


def cumulene(carbons: int, twist_degrees: float) -> Atoms:
    """A straight chain along z whose end groups are twisted against each other."""
    chain = [[0.0, 0.0, CC_A * index] for index in range(carbons)]
    half = np.radians(HCH_DEGREES / 2)
    out, along = CH_A * np.sin(half), CH_A * np.cos(half)
    ends = []
    for angle, height in ((0.0, -along), (twist_degrees, CC_A * (carbons - 1) + along)):
        direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        ends += [[*(sign * out * direction), height] for sign in (1, -1)]
    return Atoms(f"C{carbons}H4", chain + ends)


def shaken(carbons: int, twist_degrees: float, generator: np.random.Generator) -> Atoms:
    """A twisted chain, stretched and rattled as at a few hundred kelvin."""
    atoms = cumulene(carbons, twist_degrees)
    atoms.positions[:, 2] *= generator.normal(1.0, 0.01)
    atoms.positions += generator.normal(scale=0.03, size=atoms.positions.shape)
    return atoms


def labelled(atoms: Atoms, source: str) -> Frame:
    """A frame with energy and forces of GFN2-xTB."""
    from tblite.ase import TBLite

    calculator = TBLite(method="GFN2-xTB", verbosity=0)
    energy = float(calculator.get_property("energy", atoms))
    return Frame(atoms, energy=energy, forces=calculator.get_property("forces", atoms))


def model(
    name: str, settings: dict[str, Any], data: dict[str, Path], runs: Path, steps: int
) -> Path:
    """Train a model unless it is there already; the folder of its run."""
    slug = name.replace(", ", "-").replace(" ", "-")
    content = {
        "name": f"cumulene-{slug}",
        "data": {"path": str(data["train"])},
        "test_data": {"path": str(data["test"])},
        "split": {"validation": 50, "seed": 0},
        "model": {
            "architecture": "so3krates-2022",
            "settings": {
                "cutoff": CUTOFF_A,
                "num_features": 48,
                "num_heads": 4,
                "atomic_shifts": True,
                **settings,
            },
        },
        "loss": {"energy": {"kind": "l1", "weight": 1.0}, "forces": {"kind": "l1", "weight": 1.0}},
        "batches": {"size": 10},
        "run": {"steps": steps, "validate_every": 500, "progress": False},
    }
    return trained(runs, slug, content)


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="Cumulene with twisted ends")
    for heading in ("model", "energy MAE (meV)", "forces MAE (meV/Å)", "error of the twist (meV)"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in rows:
        table.add_row(row["model"], *(f"{value:.3g}" for value in list(row.values())[1:]))
    Console().print(table)


@styled
def draw(angles: np.ndarray, curves: dict[str, np.ndarray], carbons: int) -> Figure:
    """Energy against the angle between the ends, by model."""
    figure = new_figure(PAGE, 3.6)
    axes = figure.subplots()
    dress(axes)
    for number, (name, values) in enumerate(curves.items()):
        style: dict[str, Any] = {"color": "black", "lw": 2.5}
        if number:  # some lie on others, and show between their dashes
            style = {"color": SERIES[number - 1], "ls": ("-", "-", (0, (4, 4)))[number - 1]}
        axes.plot(angles, values - values.min(), label=name, **style)
    axes.set_xlabel(f"angle between the ends of C$_{{{carbons}}}$H$_4$ (degrees)")
    axes.set_ylabel("energy above its minimum (eV)")
    axes.set_xticks(np.arange(0, 181, 45))
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
