"""Drift of the energy of every potential at hand in long dynamics at constant energy.

From the root of a checkout:

    python benchmarks/drift.py --time_ps 50 --output docs/benchmarks/drift.json

Runs are kept in the work folder and go on where they were when the command is given again. With
--cards the results are written into the potentials' folders, with drift.png, for the README.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from matplotlib.figure import Figure
from shipped import merged, shipped, today

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import Card, read_card
from ase_geomformer.machine.files import write_text
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import dress, new_figure, save_figure

DTYPES = ("float32", "float64")
TEMPERATURE_K = 300.0
PICTURE = "drift.png"


@dataclass(frozen=True)
class Row:
    """Drift of a potential in one type."""

    potential: str
    sha256: str
    structure: str
    dtype: str
    compiled: bool
    timestep_fs: float
    time_ps: float
    temperature_K: float
    drift_meV_per_atom_per_ps: float
    spread_meV_per_atom: float
    steps_per_second: float


Curve = tuple[np.ndarray, np.ndarray]
"""Time in ps, and the energy per atom in meV above that of the start."""


def main() -> None:
    """Measure, print, draw, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potentials", nargs="+", help="names; all shipped ones where left out")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--time_ps", type=float, default=50.0)
    parser.add_argument("--plain", action="store_true", help="do not compile")
    parser.add_argument("--work", type=Path, default=Path("runs/drift"), help="folder of the runs")
    parser.add_argument("--output", type=Path, help="JSON file to write; other rows in it stay")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    for name in options.potentials or shipped():
        found = {}
        for dtype in options.dtypes:
            row, curve = measure(
                name, dtype, options.time_ps, options.work, compiled=not options.plain
            )
            found[row] = curve
            print(
                f"{row.potential}, {row.structure}, {row.dtype}: "
                f"{row.drift_meV_per_atom_per_ps:+.2g} meV/atom/ps over {row.time_ps:g} ps",
                flush=True,
            )
            if options.output is not None:
                content = merged(options.output, asdict(row), "potential", "dtype")
                write_text(options.output, to_json(content))
        if options.cards:
            folder = shipped()[name]
            save_figure(draw(found), folder / PICTURE)
            add_checks(folder, {"nve": check(list(found))})


def measure(
    name: str, dtype: str, time_ps: float, work: Path, *, compiled: bool
) -> tuple[Row, Curve]:
    """Run dynamics of a structure that the potential is made for."""
    card = read_card(shipped()[name])
    atoms = structure(card)
    settings = nve(atoms, time_ps)
    result = run_md(
        atoms,
        PotentialCalculator(name, dtype=dtype, compile=compiled),
        settings,
        output=work / f"{name}-{dtype}",
        resume=True,
    )
    if not result.completed or result.drift_meV_per_atom_per_ps is None:
        raise RuntimeError(result.reason)
    energy_meV = 1000.0 * result.log["total_energy_eV"] / len(atoms)
    row = Row(
        potential=name,
        sha256=card.sha256,
        structure=atoms.get_chemical_formula(),
        dtype=dtype,
        compiled=compiled,
        timestep_fs=settings.timestep_fs,
        time_ps=time_ps,
        temperature_K=result.averages["temperature_K"].mean,
        drift_meV_per_atom_per_ps=result.drift_meV_per_atom_per_ps,
        spread_meV_per_atom=float(np.std(energy_meV)),
        steps_per_second=result.steps_per_second,
    )
    return row, (result.log["time_fs"] / 1000.0, energy_meV - energy_meV[0])


def structure(card: Card) -> Atoms:
    """The first structure on the card; of an element's crystal, a cell of 16 atoms or more."""
    atoms = card.golden[0].to_atoms()
    if not atoms.pbc.all() or len(set(atoms.numbers)) > 1:
        return atoms
    cell = bulk(atoms.get_chemical_symbols()[0], cubic=True)
    return cell.repeat({2: (2, 2, 2), 4: (2, 2, 1), 8: (2, 1, 1)}[len(cell)])


def nve(atoms: Atoms, time_ps: float) -> MDSettings:
    """Constant energy with the time step that one would take for the lightest atom."""
    lightest = atoms.get_masses().min()
    timestep_fs = 0.5 if lightest < 4 else 1.0 if lightest < 15 else 2.0
    steps = round(1000.0 * time_ps / timestep_fs)
    return MDSettings(
        ensemble="nve",
        temperature_K=TEMPERATURE_K,
        timestep_fs=timestep_fs,
        steps=steps,
        trajectory_interval=max(1, steps // 100),
        checkpoint_interval=2000,
        seed=1,
    )


def check(rows: list[Row]) -> CardCheck:
    """What the README says of a potential's runs."""
    first = rows[0]
    values = {}
    for row in rows:
        values[f"drift_{row.dtype}_meV_per_atom_per_ps"] = row.drift_meV_per_atom_per_ps
        values[f"fluctuation_{row.dtype}_meV_per_atom"] = row.spread_meV_per_atom
    return CardCheck(
        sha256=first.sha256,
        title="Energy at constant energy",
        conditions=f"{first.time_ps:g} ps of {first.structure}, begun at {TEMPERATURE_K:g} K, "
        f"{first.timestep_fs:g} fs; the slope of the energy, and its standard deviation, are what "
        "integration and rounding leave (`benchmarks/drift.py`).",
        values=values,
        picture=PICTURE,
        date=today(),
    )


def draw(found: dict[Row, Curve]) -> Figure:
    """The energy by time."""
    figure = new_figure(6.0, 2.6)
    axes = figure.subplots()
    for row, (time_ps, energy_meV) in found.items():
        axes.plot(time_ps, energy_meV, lw=0.7, label=row.dtype)
    dress(axes)
    axes.axhline(0.0, color="0.6", lw=0.8)
    axes.set_xlabel("time (ps)")
    axes.set_ylabel("energy (meV/atom)")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
