"""Energies and forces in float32 against float64, from one cell to large crystals.

From the root of a checkout:

    python benchmarks/precision.py --repeats 1 2 4 8 --output docs/benchmarks/precision.json

Each crystal is a cube of so many cubic cells of silicon, with atoms displaced at random. All
calculators have the same weights; float32 is measured with and without radial tables.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from timing import machine

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

POTENTIAL = "so3krates-mlearn-si"
LATTICE_A = 5.43
RATTLE_A = 0.05


@dataclass(frozen=True)
class Row:
    """How far a float32 evaluation is from the float64 one."""

    potential: str
    atoms: int
    radial_tables: bool
    energy_eV: float
    energy_error_meV: float
    energy_error_meV_per_atom: float
    force_rms_error_meV_per_A: float
    force_max_error_meV_per_A: float
    summed_in_float32_error_meV: float


def main() -> None:
    """Measure, print, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    rows = []
    for repeats in options.repeats:
        for row in measure(repeats):
            rows.append(row)
            print(
                f"{row.atoms:6d} atoms, tables {row.radial_tables!s:5}: energy "
                f"{row.energy_error_meV:.2g} meV ({row.energy_error_meV_per_atom:.2g} per atom), "
                f"forces {row.force_max_error_meV_per_A:.2g} meV/Å at most; summed in float32 "
                f"{row.summed_in_float32_error_meV:.2g} meV",
                flush=True,
            )
            if options.output is not None:
                content = {**machine(), "rows": [asdict(row) for row in rows]}
                write_text(options.output, to_json(content))


def measure(repeats: int) -> list[Row]:
    """The rows of one crystal."""
    atoms = bulk("Si", cubic=True, a=LATTICE_A).repeat(repeats)
    atoms.rattle(RATTLE_A, seed=repeats)
    exact = evaluated(atoms, "float64", tables=False)
    return [
        row(atoms, exact, evaluated(atoms, "float32", tables=tables), tables=tables)
        for tables in (False, True)
    ]


def evaluated(atoms: Atoms, dtype: str, *, tables: bool) -> dict[str, Any]:
    """Energy, energies and forces of one calculator."""
    calculator = PotentialCalculator(POTENTIAL, device="cpu", dtype=dtype, radial_tables=tables)
    calculator.calculate(atoms, ["energy", "forces"])
    return dict(calculator.results)


def row(atoms: Atoms, exact: dict[str, Any], found: dict[str, Any], *, tables: bool) -> Row:
    """Differences of two results, and what a running sum in float32 would have added."""
    apart = found["forces"] - exact["forces"]
    energy = float(found["energy"] - exact["energy"])
    # One after the other, as a plain loop or a kernel with one accumulator adds.
    running = float(np.cumsum(found["energies"].astype(np.float32), dtype=np.float32)[-1])
    return Row(
        potential=POTENTIAL,
        atoms=len(atoms),
        radial_tables=tables,
        energy_eV=float(exact["energy"]),
        energy_error_meV=1e3 * abs(energy),
        energy_error_meV_per_atom=1e3 * abs(energy) / len(atoms),
        force_rms_error_meV_per_A=1e3 * float(np.sqrt((apart**2).mean())),
        force_max_error_meV_per_A=1e3 * float(np.abs(apart).max()),
        summed_in_float32_error_meV=1e3 * abs(running - float(exact["energy"])),
    )


if __name__ == "__main__":
    main()
