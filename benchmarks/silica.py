"""Crystals of silica, which no training has seen: cells and densities beside experiment.

    python benchmarks/silica.py --potential est-silica --output docs/benchmarks/silica.json \\
        --page docs/est.md

Alpha-quartz as measured by L. Levien, C. T. Prewitt, D. J. Weidner, Am. Mineral. 65, 920 (1980),
alpha-cristobalite by D. R. Peacor, Z. Kristallogr. 138, 274 (1973). Cell and atoms are relaxed.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.spacegroup import crystal
from marked import with_table
from timing import machine

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.runs.plain import to_json

TABLE = "benchmarks/silica.py"


def main() -> None:
    """Relax, show and write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="est-silica")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    options = parser.parse_args()
    torch.set_num_threads(1)
    calculator = PotentialCalculator(options.potential, device="cpu", dtype="float64")
    rows = []
    for name, measured in (("α-quartz", quartz()), ("α-cristobalite", cristobalite())):
        found = relax(
            measured, calculator, RelaxSettings(cell="full", fmax=1e-3), progress=False
        ).atoms
        energy = calculator.get_potential_energy(found)
        rows.append(
            {
                "crystal": name,
                "energy_eV_per_SiO2": energy / (len(found) / 3),
                "relaxed": cell(found),
                "measured": cell(measured),
            }
        )
    text = as_table(rows)
    print(text)
    if options.output is not None:
        about = {"potential": options.potential, "rows": rows}
        write_text(options.output, to_json({**machine("vesin"), **about}))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        write_text(options.page, with_table(page, TABLE, text))


def quartz() -> Atoms:
    """Nine atoms."""
    return crystal(
        ["Si", "O"],
        [(0.4697, 0.0, 2 / 3), (0.4135, 0.2669, 0.1191 + 2 / 3)],
        spacegroup=154,
        cellpar=[4.916, 4.916, 5.4054, 90, 90, 120],
    )


def cristobalite() -> Atoms:
    """Twelve atoms."""
    return crystal(
        ["Si", "O"],
        [(0.3003, 0.3003, 0.0), (0.2392, 0.1044, 0.1787)],
        spacegroup=92,
        cellpar=[4.9717, 4.9717, 6.9223, 90, 90, 90],
    )


def cell(atoms: Atoms) -> dict[str, float]:
    """Lattice constants, density and the mean length of bonds."""
    density = atoms.get_masses().sum() / atoms.get_volume() * units._amu * 1e27  # g/cm^3
    lengths = atoms.cell.lengths()
    bonds = atoms.get_all_distances(mic=True)
    silicon, oxygen = (np.flatnonzero(atoms.symbols == symbol) for symbol in ("Si", "O"))
    nearest = np.sort(bonds[np.ix_(oxygen, silicon)], axis=1)[:, :2]
    return {
        "a_A": float(lengths[0]),
        "c_A": float(lengths[2]),
        "density_g_per_cm3": float(density),
        "bond_A": float(nearest.mean()),
    }


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown."""
    columns = {
        "a (Å)": ("a_A", ".3f"),
        "c (Å)": ("c_A", ".3f"),
        "density (g/cm³)": ("density_g_per_cm3", ".3f"),
        "Si-O (Å)": ("bond_A", ".3f"),
    }
    return table(
        ["crystal", *columns],
        [
            [
                it["crystal"],
                *(
                    f"{it['relaxed'][key]:{style}} / {it['measured'][key]:{style}}"
                    for key, style in columns.values()
                ),
            ]
            for it in rows
        ],
    )


if __name__ == "__main__":
    main()
