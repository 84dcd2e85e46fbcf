"""What searches for transition states cost: evaluations of forces and Hessians, by method.

The hydroxyl group of ethanol turns from the trans towards the gauche conformer; an atom of copper
hops into a vacancy among 108 sites. Both start relaxed. Sella is left out where it is not installed
(extra sella):

    python benchmarks/saddle.py --output docs/benchmarks/saddle.json
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.geometry import find_mic
from rich.console import Console
from rich.table import Table
from timing import clocked

from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import RelaxSettings, SaddleSettings, relax, saddle
from ase_geomformer.recipes.modes import derivatives
from ase_geomformer.recipes.transition_state import refinement, search
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.structures import as_structure

STRUCTURES = Path(__file__).parent.parent / "examples" / "structures"
METHODS = ("hessian", "dimer", "sella")


@dataclass
class Count:
    """Passes through a potential for forces or energies, and Hessians."""

    passes: int = 0
    hessians: int = 0
    inside: bool = False


def ethanol() -> tuple[str, Atoms, Atoms]:
    """The trans conformer, and the gauche one."""
    trans, gauche = (
        as_structure(STRUCTURES / f"ethanol_{name}.xyz") for name in ("trans", "gauche")
    )
    return "so3krates-rmd17-ethanol", trans, gauche


def copper() -> tuple[str, Atoms, Atoms]:
    """A vacancy, and the same with a neighbour in its place."""
    crystal = bulk("Cu", a=3.6357, cubic=True) * (3, 3, 3)
    neighbour = 1 + int(np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)))
    way, _ = find_mic(crystal.positions[:1] - crystal.positions[neighbour], crystal.cell)
    start, end = crystal.copy(), crystal.copy()
    end.positions[neighbour] += way[0]
    for atoms in (start, end):
        del atoms[0]
    return "so3krates-mlearn-cu", start, end


CASES: dict[str, Callable[[], tuple[str, Atoms, Atoms]]] = {
    "ethanol, hydroxyl group": ethanol,
    "copper, vacancy": copper,
}


def main() -> None:
    """Search, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    rows = []
    for title in options.cases:
        name, start, towards = CASES[title]()
        evaluator = BatchEvaluator(name, dtype="float64", domain="ignore")
        start = relax(start, evaluator, RelaxSettings(fmax=1e-3), progress=False).atoms
        for method in METHODS:
            if method != "sella" or find_spec("sella") is not None:
                rows.append({"case": title, **measured(start, evaluator, towards, method)})
    show(rows)
    if options.output is not None:
        write_text(options.output, to_json({"rows": rows}))


def measured(
    start: Atoms, evaluator: BatchEvaluator, towards: Atoms, method: Any
) -> dict[str, Any]:
    """One search, without the vibrations at its end."""
    settings = SaddleSettings(method=method, vibrational_check=False)
    with counted(evaluator) as count:
        found, seconds = clocked(
            lambda: saddle(start, evaluator, settings, towards=towards, progress=False)
        )
    return {
        "method": method,
        "converged": found.converged,
        "barrier_meV": 1e3 * found.energy_above_start_eV,
        "steps": found.steps,
        "evaluations": count.passes,
        "hessians": count.hessians,
        **seconds,
    }


@contextmanager
def counted(evaluator: BatchEvaluator) -> Iterator[Count]:
    """Count what is evaluated within; a batch is one evaluation."""
    count = Count()

    def curvature(*arguments: Any, **keywords: Any) -> Any:
        count.hessians += 1
        count.inside = True
        try:
            return derivatives.curvature(*arguments, **keywords)
        finally:
            count.inside = False

    def passed(*_: object) -> None:
        count.passes += not count.inside

    hook = evaluator.potential.register_forward_hook(passed)
    try:
        with (
            patch.object(refinement, "curvature", curvature),
            patch.object(search, "curvature", curvature),
        ):
            yield count
    finally:
        hook.remove()


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table("case", "method", "barrier (meV)", "steps", "evaluations", "Hessians", "CPU (s)")
    for row in rows:
        table.add_row(
            row["case"], row["method"], f"{row['barrier_meV']:.2f}", str(row["steps"]),
            str(row["evaluations"]), str(row["hessians"]), f"{row['cpu_s']:.1f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
