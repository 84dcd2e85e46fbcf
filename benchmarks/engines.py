"""How far LAMMPS, i-PI, OpenMM, torch-sim and Dask workers are from the ASE calculator.

Energies, forces and six pressures of one structure for each potential, in float64: the same code
evaluates them, but gets its neighbours, units and signs from the other program. LAMMPS runs on 1, 2
and 4 processes. ML-IAP is evaluated with the stand-in of the tests in place of LAMMPS.

    python benchmarks/engines.py --output docs/benchmarks/engines.json --page docs/engines.md

Engines that are not installed are left out; so is SO3LR where it is not (``ase-geomformer models
get so3lr``). Rows of other engines in the JSON file stay.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engines_cases import CASES, ENGINES, Row, calculated
from marked import with_table
from timing import machine

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.machine.files import write_text
from ase_geomformer.registry import list_potentials
from ase_geomformer.runs.plain import to_json

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = (1, 2, 4)
PACKAGES = {
    "LAMMPS": "lammps", "ML-IAP": "lammps", "i-PI": "ipi", "OpenMM": "openmm",
    "torch-sim": "torch-sim-atomistic", "Dask": "distributed",
}  # fmt: skip
VALUES = ("energy_eV", "forces_eV_per_A", "pressure_GPa")
HEADS = ("energy (eV)", "forces (eV/Å)", "pressures (GPa)")


def main() -> None:
    """Compare, and write JSON and the tables of the page."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--engines", nargs="*", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the tables into")
    options = parser.parse_args()
    names = [name for name in options.cases if CASES[name].potential in list_potentials()]
    engines = [engine for engine in options.engines if _installed(PACKAGES[engine])]
    rows = []
    if options.output is not None and options.output.exists():
        rows = json.loads(options.output.read_text(encoding="utf-8"))["rows"]
        rows = [row for row in rows if row["engine"] not in engines]
    for engine in engines:
        for row in compared(engine, names):
            rows.append(row)
            print(
                *(f"{value:.1e}" if isinstance(value, float) else value for value in row.values())
            )
    if options.output is not None and engines:
        packages = {PACKAGES[row["engine"]] for row in rows}
        if "LAMMPS" in engines:
            packages |= {"mpich", "mpi4py"}
        found = {**machine(*sorted(packages)), "rows": rows}
        write_text(options.output, to_json(found))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        page = with_table(page, "benchmarks/engines.py: LAMMPS", table_of_lammps(rows))
        page = with_table(page, "benchmarks/engines.py: others", table_of_others(rows))
        write_text(options.page, page)


def compared(engine: str, names: list[str]) -> Iterator[Row]:
    """Differences of an engine, one row for each case that it can evaluate."""
    if engine == "LAMMPS":
        for number in PROCESSES:
            yield from _in_lammps(number, names)
        return
    for name in names:
        row = ENGINES[engine](CASES[name], calculated(CASES[name]))
        if row is not None:
            yield {"engine": engine, "case": name, **row}


def _in_lammps(number: int, names: list[str]) -> list[Row]:
    """The rows of LAMMPS on a number of processes."""
    script = Path(__file__).with_name("engines_lammps.py")
    launcher = Path(sys.prefix) / "bin" / "mpiexec"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rows.json"
        command = [str(launcher), "-n", str(number), sys.executable, str(script), str(target)]
        subprocess.run([*command, *names], check=True, env=environment)
        found: list[Row] = json.loads(target.read_text(encoding="utf-8"))
    return found


def table_of_lammps(rows: list[Row]) -> str:
    """LAMMPS: a line for each case and mode, on one, two and four processes."""
    body = []
    chosen = [row for row in rows if row["engine"] == "LAMMPS"]
    for name, mode in dict.fromkeys((row["case"], row["mode"]) for row in chosen):
        same = [row for row in chosen if (row["case"], row["mode"]) == (name, mode)]
        cells = [", ".join(_brief(row[value]) for row in same) for value in VALUES]
        label = f"`{CASES[name].potential}`" + (", deep" if mode == "deep" else "")
        body.append([CASES[name].structure, label, *cells])
    return table(("structure", "potential", *HEADS), body)


def table_of_others(rows: list[Row]) -> str:
    """The other engines: columns of them, differences of energy, forces and pressures."""
    engines = [
        engine for engine in dict.fromkeys(row["engine"] for row in rows) if engine != "LAMMPS"
    ]
    found = {(row["case"], row["engine"]): row for row in rows if row["engine"] != "LAMMPS"}
    body = []
    for name in dict.fromkeys(row["case"] for row in rows):
        cells = []
        for engine in engines:
            row = found.get((name, engine), {})
            cells.append(", ".join(_brief(row[value]) for value in VALUES if value in row))
        body.append([f"{CASES[name].structure}, `{CASES[name].potential}`", *cells])
    return table(("", *engines), body)


def _brief(value: float) -> str:
    """One digit: differences are rounding."""
    return "0" if value == 0.0 else f"{value:.0e}".replace("e-0", "e-")


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
