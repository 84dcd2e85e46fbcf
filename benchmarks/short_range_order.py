"""Short-range order of the equimolar alloy Mo-Nb-Ta-W, by swaps of atoms on the bcc lattice.

Metropolis Monte Carlo at constant composition: two atoms of different metals change places, on a
rigid lattice, with the energies of the potential. Chains at several temperatures are one batch, and
neighbours in temperature change places, too (parallel tempering). From the root of a checkout:

    python benchmarks/short_range_order.py --output docs/benchmarks/short-range-order.json \\
        --page docs/est.md --picture docs/images/short_range_order.png \\
        --snap FOLDER/Ta-W-Nb-Mo.snap

The parameter of Cowley, Phys. Rev. 77, 669 (1950), of two metals A and B in a shell of neighbours
is 1 - p / c, with p the share of B among the neighbours of A and c that of B in the alloy: negative
where they seek each other, positive where they avoid each other, zero in a random alloy. What atoms
gain by leaving their lattice sites is measured at the end. For SNAP see ``benchmarks/alloy.py``.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alloy import LATTICE_A, METALS, POTENTIAL, random_alloy, snap
from ase import Atoms
from ase.build import bulk
from ase.units import kB
from marked import with_table
from numpy.typing import NDArray
from timing import machine

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import PAGE, SERIES, dress, new_figure, save_figure

TEMPERATURES_K = (300.0, 500.0, 750.0, 1000.0, 1500.0, 2500.0)
SHOWN_K = (300.0, 1000.0, 2500.0)
# Sixteen atoms of each metal, with eight nearest and six second neighbours.
LATTICE = bulk("Mo", "bcc", a=LATTICE_A) * 4
SHELLS_A = (0.95 * LATTICE_A, 1.1 * LATTICE_A)
PAIRS = tuple(combinations(METALS, 2))
Energies = Callable[[list[Atoms]], NDArray[np.float64]]


def main() -> None:
    """Sample, show, draw and write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=60, help="swaps tried for each atom")
    parser.add_argument("--snap", help="path of the SNAP's files without their ends; or no SNAP")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--show", type=Path, help="do not sample: take the rows of such a file")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    parser.add_argument("--picture", type=Path, help="figure to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.show is not None:
        rows = json.loads(options.show.read_text(encoding="utf-8"))["rows"]
    else:
        rows = sampled(options.sweeps, options.snap)
    text = as_table(rows)
    print(text)
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), "rows": rows}))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        write_text(options.page, with_table(page, "benchmarks/short_range_order.py", text))
    if options.picture is not None:
        draw(rows, options.picture)


def sampled(sweeps: int, snap_files: str | None) -> list[dict[str, Any]]:
    """Chains of the potential, and of the published one where its files are given."""
    batch = BatchEvaluator(POTENTIAL, device="cpu", dtype="float32", domain="ignore", compile=True)
    rows = chains(POTENTIAL, in_batches(batch), batch.calculator, sweeps)
    if snap_files is not None:
        published = snap(snap_files)
        rows += chains("SNAP", one_by_one(published), published, sweeps)
    return rows


def in_batches(evaluator: BatchEvaluator) -> Energies:
    """Energies of all structures at once, eV."""
    return lambda structures: np.array([it["energy"] for it in evaluator(structures, ("energy",))])


def one_by_one(calculator: Any) -> Energies:
    """Energies by an ASE calculator, eV."""
    return lambda found: np.array([calculator.get_potential_energy(one.copy()) for one in found])


def chains(
    name: str, energies: Energies, calculator: Any, sweeps: int, seed: int = 0
) -> list[dict[str, Any]]:
    """One chain for each temperature; averages leave out the first third."""
    random = np.random.default_rng(seed)
    alloys = [random_alloy(LATTICE, place) for place in range(len(TEMPERATURES_K))]
    now = energies(alloys)
    at_random = float(now.mean())
    weights = 1.0 / (kB * np.array(TEMPERATURES_K))
    taken = [list[tuple[NDArray[np.float64], float]]() for _ in alloys]
    accepted = np.zeros(len(alloys))
    for sweep in range(sweeps):
        for _ in range(len(LATTICE)):
            tried = [swapped(alloy, random) for alloy in alloys]
            found = energies(tried)
            taken_over = random.random(len(alloys)) < np.exp(
                np.minimum(0.0, -weights * (found - now))
            )
            accepted += taken_over
            for place in np.flatnonzero(taken_over):
                alloys[place], now[place] = tried[place], found[place]
        exchange(alloys, now, weights, random)
        if sweep >= sweeps // 3:
            for place, alloy in enumerate(alloys):
                taken[place].append((order(alloy), float(now[place])))
        print(f"{name}, sweep {sweep + 1}: {np.round(1e3 * (now - at_random) / len(LATTICE), 1)}")
    rows = []
    for place, temperature_K in enumerate(TEMPERATURES_K):
        parameters = np.array([one for one, _ in taken[place]])
        above = 1e3 * (np.array([energy for _, energy in taken[place]]) - at_random) / len(LATTICE)
        rows.append(
            {
                "potential": name,
                "temperature_K": temperature_K,
                "accepted": accepted[place] / (sweeps * len(LATTICE)),
                "energy_meV_per_atom": float(above.mean()),
                "relaxation_meV_per_atom": relaxation(alloys[place], calculator),
                "order": parameters.mean(axis=0),
                "scatter": halves(parameters),
            }
        )
    return rows


def swapped(alloy: Atoms, random: np.random.Generator) -> Atoms:
    """A copy in which two atoms of different metals have changed places."""
    numbers = alloy.numbers
    first = int(random.integers(len(alloy)))
    second = int(random.choice(np.flatnonzero(numbers != numbers[first])))
    other = alloy.copy()
    other.numbers[[first, second]] = numbers[[second, first]]
    return other


def exchange(
    alloys: list[Atoms],
    energies: NDArray[np.float64],
    weights: NDArray[np.float64],
    random: np.random.Generator,
) -> None:
    """Chains of neighbouring temperatures change places, by the rule of Metropolis, in place."""
    for place in range(len(alloys) - 1):
        gain = (weights[place] - weights[place + 1]) * (energies[place] - energies[place + 1])
        if random.random() < np.exp(min(0.0, gain)):
            for of in (alloys, energies):
                of[place], of[place + 1] = of[place + 1], of[place]


def order(alloy: Atoms) -> NDArray[np.float64]:
    """Parameters of short-range order (shells, pairs of METALS)."""
    kinds = np.array([alloy.symbols == metal for metal in METALS], dtype=float)
    shares = kinds.mean(axis=1)
    found = []
    for near in NEIGHBOURS:
        counts = kinds @ near @ kinds.T / near.sum()
        parameters = 1.0 - counts / np.outer(shares, shares)
        found.append([parameters[METALS.index(a), METALS.index(b)] for a, b in PAIRS])
    return np.array(found)


def neighbours() -> list[NDArray[np.float64]]:
    """Matrices of which atoms are neighbours of which, by shell."""
    far = LATTICE.get_all_distances(mic=True)
    edges = (0.1, *SHELLS_A)
    return [((far > a) & (far < b)).astype(float) for a, b in pairwise(edges)]


NEIGHBOURS = neighbours()


def halves(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the two halves of a chain differ."""
    first, second = np.array_split(parameters, 2)
    return np.asarray(np.abs(first.mean(axis=0) - second.mean(axis=0)))


def relaxation(alloy: Atoms, calculator: Any) -> float:
    """What the last alloy of a chain gains when its atoms leave their sites, meV/atom."""
    start = calculator.get_potential_energy(alloy.copy())
    relaxed = relax(alloy, calculator, RelaxSettings(fmax=0.01), progress=False).atoms
    end = calculator.get_potential_energy(relaxed)
    return 1e3 * float(end - start) / len(alloy)


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Parameters of nearest neighbours, and energies."""
    return table(
        ["T (K)", "by", *("-".join(pair) for pair in PAIRS), "ordering (meV/atom)", "relaxation"],
        [
            [
                f"{it['temperature_K']:g}",
                it["potential"],
                *(f"{value:+.2f}" for value in it["order"][0]),
                f"{it['energy_meV_per_atom']:.1f}",
                f"{it['relaxation_meV_per_atom']:.1f}",
            ]
            for it in sorted(rows, key=lambda it: it["temperature_K"])
            if it["temperature_K"] in SHOWN_K
        ],
    )


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Parameters by temperature: lines by the potential, dashes by the published one."""
    figure = new_figure(PAGE, 3.2)
    plots = figure.subplots(1, 2, sharey=True)
    for shell, (axes, title) in enumerate(zip(plots, ("nearest", "second"), strict=True)):
        for name, style in ((POTENTIAL, "o-"), ("SNAP", "s--")):
            own = [it for it in rows if it["potential"] == name]
            for place, pair in enumerate(PAIRS):
                axes.plot(
                    [it["temperature_K"] for it in own],
                    [it["order"][shell][place] for it in own],
                    style,
                    color=SERIES[place],
                    markersize=3,
                    label="-".join(pair) if name == POTENTIAL else None,
                )
        axes.axhline(0.0, color="grey", lw=0.8)
        axes.set(title=f"{title} neighbours", xlabel="temperature (K)")
        dress(axes)
    plots[0].set_ylabel("short-range order")
    figure.legend(*plots[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    save_figure(figure, path)


if __name__ == "__main__":
    main()
