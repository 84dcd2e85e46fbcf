"""Kinetic energy of quantum nuclei by path integrals, beside harmonic theory.

Ethanol by SO3LR and silicon, with more and more beads. Theory is that of the harmonic modes of the
same atoms, at as many beads and at infinitely many. Every call makes all runs longer, in turns, for
so many seconds of processor time (none with 0), and writes table and figure of what there is:

    ase-geomformer models compile so3lr so3krates-mlearn-si
    nice python benchmarks/quantum_nuclei.py --runs runs/pimd --seconds 600 \\
        --output docs/benchmarks/quantum-nuclei.json --page docs/engines.md \\
        --figure docs/images/quantum_nuclei.png
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from marked import with_table
from timing import machine

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.engines.ipi import PathIntegralSettings, path_integrals
from ase_geomformer.hessian import hessian
from ase_geomformer.machine.files import write_text
from ase_geomformer.md.result import averages
from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import SERIES, dress, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HBAR = units._hbar * units.J * units.s
# eV^2; squared energies of modes below are those of translations and rotations.
STILL = (2e-3) ** 2
CHUNK = 250  # steps from one run's turn to the next's


@dataclass(frozen=True)
class Case:
    """Atoms at a temperature, with several numbers of beads."""

    name: str
    potential: str
    make: Callable[[], Atoms]
    temperature_K: float
    timestep_fs: float
    beads: tuple[int, ...]
    equilibration_steps: int


def _silicon() -> Atoms:
    return bulk("Si", cubic=True)


CASES = (
    Case("ethanol", "so3lr", lambda: molecule("CH3CH2OH"), 300.0, 0.5, (1, 8, 16, 32), 300),
    Case("silicon", "so3krates-mlearn-si", _silicon, 100.0, 2.0, (1, 8, 16, 32), 250),
    Case("silicon", "so3krates-mlearn-si", _silicon, 300.0, 2.0, (1, 4, 8, 16), 250),
)


def main() -> None:
    """Extend the runs; write what they say."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time, to run for")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepared = [Prepared(case, options.runs) for case in CASES]
    extend(prepared, options.seconds)
    rows = [row for one in prepared for row in one.rows()]
    for row in rows:
        print(row)
    if options.output is not None:
        write_text(options.output, to_json({**machine("ipi"), "rows": rows}))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        page = with_table(page, "benchmarks/quantum_nuclei.py", as_table(rows))
        write_text(options.page, page)
    if options.figure is not None:
        save_figure(draw(prepared, rows), options.figure)


class Prepared:
    """A case with its relaxed atoms, their modes, and its runs so far."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self._folder = case, folder
        exact = PotentialCalculator(case.potential, dtype="float64", compile=False, domain="ignore")
        relaxed = relax(case.make(), exact, RelaxSettings(fmax=1e-4), progress=False).atoms
        self.atoms = relaxed.copy()
        self.calculator = PotentialCalculator(case.potential, dtype="float32", domain="ignore")
        self.squares, self.shares = modes(exact, self.atoms)

    def folder(self, beads: int) -> Path:
        """Of the run with so many beads."""
        return self._folder / f"{self.case.name}-{self.case.temperature_K:.0f}K-{beads}"

    def extend(self, beads: int, steps: int) -> None:
        """Have the run with so many beads make more steps."""
        case = self.case
        log = read_log(self.folder(beads))
        done = int(log["step"][-1]) if log else 0
        settings = PathIntegralSettings(
            beads=beads,
            temperature_K=case.temperature_K,
            timestep_fs=case.timestep_fs,
            steps=max(done, case.equilibration_steps) + steps,
            equilibration_steps=case.equilibration_steps,
            log_interval=5,
            trajectory_interval=1000,
            checkpoint_interval=1000,
        )
        path_integrals(
            self.atoms, self.calculator, settings,
            output=self.folder(beads), resume=True, progress=False,
        )  # fmt: skip

    def theory(self, beads: float) -> dict[str, float]:
        """Kinetic energy of an atom of each element with so many beads, meV."""
        thermal = units.kB * self.case.temperature_K
        each = harmonic(self.squares, thermal, beads) @ self.shares
        each = each + 0.5 * thermal * (3.0 - self.shares.sum(axis=0))
        symbols = dict.fromkeys(self.atoms.symbols)
        return {s: 1000.0 * float(each[self.atoms.symbols == s].mean()) for s in symbols}

    def rows(self) -> Iterator[dict[str, Any]]:
        """What all runs say of each element."""
        for symbol, count in self.atoms.symbols.formula.count().items():
            for beads in self.case.beads:
                log = read_log(self.folder(beads))
                if not log or log["step"][-1] <= self.case.equilibration_steps:
                    continue
                found = averages(log, self.case.equilibration_steps)[f"kinetic_energy_{symbol}_eV"]
                yield {
                    "case": self.case.name,
                    "potential": self.case.potential,
                    "temperature_K": self.case.temperature_K,
                    "element": symbol,
                    "beads": beads,
                    "picoseconds": float(log["time_fs"][-1]) / 1000.0,
                    "kinetic_meV": 1000.0 * found.mean / count,
                    "error_meV": 1000.0 * found.error / count,
                    "theory_meV": self.theory(beads)[symbol],
                    "theory_quantum_meV": self.theory(np.inf)[symbol],
                    "classical_meV": 1500.0 * units.kB * self.case.temperature_K,
                }


def read_log(folder: Path) -> dict[str, np.ndarray]:
    """Columns of a run's log; none where there is no run yet."""
    file = folder / "log.csv"
    if not file.is_file():
        return {}
    rows = np.genfromtxt(file, delimiter=",", names=True)
    return {name: np.atleast_1d(rows[name]) for name in rows.dtype.names}


def extend(prepared: list[Prepared], seconds: float) -> None:
    """All runs in turns, for so much processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        for one in prepared:
            for beads in one.case.beads:
                # With one bead the estimate is the classical value itself.
                is_known = beads == 1 and read_log(one.folder(beads))
                if time.process_time() < end and not is_known:
                    one.extend(beads, CHUNK)


def modes(calculator: PotentialCalculator, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Squared energies (M,) of the modes in eV^2, and their parts (M, N) by atom.

    Translations, and rotations of what is open, are left out.
    """
    roots = np.sqrt(np.repeat(atoms.get_masses(), 3))
    curvatures = hessian(calculator, atoms) / (roots[:, None] * roots)
    squares, vectors = np.linalg.eigh(HBAR**2 * curvatures)
    kept = squares > STILL
    return squares[kept], (vectors[:, kept].T.reshape(kept.sum(), -1, 3) ** 2).sum(axis=2)


def harmonic(squares: np.ndarray, thermal: float, beads: float) -> np.ndarray:
    """Mean kinetic energies of modes on a ring of beads, eV."""
    energies = np.sqrt(squares)
    if np.isinf(beads):
        return 0.25 * energies / np.tanh(0.5 * energies / thermal)
    ring = 2.0 * beads * thermal * np.sin(np.arange(beads) * np.pi / beads)
    return 0.5 * thermal * (squares / (squares + ring[:, None] ** 2)).sum(axis=0)


def as_table(rows: list[dict[str, Any]]) -> str:
    """Rows by element, columns by number of beads: path integrals, and theory of as many."""
    body = []
    keys = dict.fromkeys((row["case"], row["temperature_K"], row["element"]) for row in rows)
    for key in keys:
        same = [r for r in rows if (r["case"], r["temperature_K"], r["element"]) == key]
        best = same[-1]
        excess = best["kinetic_meV"] - best["theory_meV"]
        cells = [
            f"{r['beads']}: {r['kinetic_meV']:.1f} ± {r['error_meV']:.1f} ({r['theory_meV']:.1f})"
            for r in same
            if r["beads"] > 1
        ]
        body.append([
            f"{key[2]} in {key[0]}, {key[1]:.0f} K", f"{best['classical_meV']:.1f}", *cells,
            f"{best['theory_quantum_meV']:.1f}", f"{100.0 * excess / best['theory_meV']:+.1f} %",
        ])  # fmt: skip
    beads = max(len(cells) for cells in body) - 4
    heads = (
        "", "classical", "beads: mean ± error (theory)", *[""] * (beads - 1), "quantum, harmonic",
        "last against its theory",
    )  # fmt: skip
    return table(heads, body)


def draw(prepared: list[Prepared], rows: list[dict[str, Any]]) -> Figure:
    """Kinetic energies against the number of beads, with the lines of theory."""
    figure = new_figure(7.0, 3.2)
    for axes, name in zip(figure.subplots(1, 2), ("ethanol", "silicon"), strict=True):
        curves = []
        for one in prepared:
            if one.case.name != name:
                continue
            for symbol in dict.fromkeys(one.atoms.symbols):
                label = symbol if name == "ethanol" else f"{one.case.temperature_K:.0f} K"
                curves.append((one, symbol, label))
        for colour, (one, symbol, label) in zip(SERIES, curves, strict=False):
            chosen = [
                row for row in rows if row["case"] == name and row["element"] == symbol
                and row["temperature_K"] == one.case.temperature_K
            ]  # fmt: skip
            _curve(axes, one, symbol, chosen, colour, label)
        axes.set_xscale("log", base=2)
        axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
        axes.set_xlabel("beads")
        axes.set_ylim(bottom=0.0)
        axes.set_title(name)
        dress(axes)
        axes.legend(frameon=False, loc="lower right")
    figure.axes[0].set_ylabel("kinetic energy of an atom (meV)")
    return figure


def _curve(
    axes: Axes, one: Prepared, symbol: str, rows: list[dict[str, Any]], colour: str, label: str
) -> None:
    """Points with errors, theory of as many beads as a line, of infinitely many dashed."""
    numbers = np.arange(1, 41)
    axes.plot(numbers, [one.theory(int(n))[symbol] for n in numbers], color=colour, lw=1.0)
    axes.axhline(one.theory(np.inf)[symbol], color=colour, lw=0.8, ls="--")
    axes.errorbar(
        [row["beads"] for row in rows],
        [row["kinetic_meV"] for row in rows],
        [row["error_meV"] for row in rows],
        color=colour, marker="o", ms=3, ls="", capsize=2, label=label,
    )  # fmt: skip


if __name__ == "__main__":
    main()
