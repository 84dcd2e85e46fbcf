"""Energy and force of two atoms alone, for every pair of elements of the shipped potentials.

The data know nothing of such pairs, except for molecules of two atoms, and the curves are no
reference for them: they show whether a potential stays finite and keeps atoms apart at short
range. From the root of a checkout:

    python benchmarks/dimers.py --output docs/benchmarks/dimers.json --cards

With --cards the results are written into the potentials' folders, with dimers.png, for the README.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from matplotlib.figure import Figure
from shipped import merged, shipped, today

from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import Card, read_card
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import dress, new_figure, save_figure

SHORTEST_A = 0.2
STEP_A = 0.02
# Short range: below this part of the sum of covalent radii. A bond is about one such sum.
SHORT_RANGE = 0.5
PICTURE = "dimers.png"


@dataclass(frozen=True)
class Curve:
    """Energy and force of a pair by distance.

    The energy is that above the largest distance, the force that on one atom away from the other.
    """

    pair: str
    distance_A: np.ndarray
    energy_eV: np.ndarray
    force_eV_per_A: np.ndarray
    short_range_A: float

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.energy_eV).all() and np.isfinite(self.force_eV_per_A).all())

    @property
    def repulsive_below_A(self) -> float:
        """The distance up to which the force is repulsive without a break."""
        attractive = np.flatnonzero(~(self.force_eV_per_A > 0.0))
        return float(self.distance_A[attractive[0] if len(attractive) else -1])

    @property
    def passed(self) -> bool:
        return self.finite and self.repulsive_below_A >= self.short_range_A


def main() -> None:
    """Compute, print, draw, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potentials", nargs="+", help="names; all shipped ones where left out")
    parser.add_argument("--output", type=Path, help="JSON file to write; other rows in it stay")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    for name in options.potentials or shipped():
        folder = shipped()[name]
        card = read_card(folder)
        curves = measure(name, card.elements, card.cutoff_A)
        told = check(card, curves)
        print(f"{name}: {told.outcome}")
        if options.cards:
            save_figure(draw(curves), folder / PICTURE)
            add_checks(folder, {"dimers": told})
        if options.output is not None:
            row = {"potential": name, **vars(told)}
            write_text(options.output, to_json(merged(options.output, row, "potential")))


def measure(name: str, elements: list[str], cutoff_A: float) -> list[Curve]:
    """The curves of all pairs of elements, in float64."""
    distances = np.arange(SHORTEST_A, cutoff_A + 0.5 * STEP_A, STEP_A)
    curves = []
    for pair in combinations_with_replacement(elements, 2):
        structures = [Atoms(pair, [[0.0, 0.0, 0.0], [r, 0.0, 0.0]]) for r in distances]
        results = evaluate_many(structures, name, device="cpu", dtype="float64")
        energies = np.array([found["energy"] for found in results])
        radii = sum(covalent_radii[atomic_numbers[element]] for element in pair)
        curves.append(
            Curve(
                "-".join(pair),
                distances,
                energies - energies[-1],
                np.array([found["forces"][1, 0] for found in results]),
                SHORT_RANGE * radii,
            )
        )
    return curves


def check(card: Card, curves: list[Curve]) -> CardCheck:
    """What the README says of the curves."""
    zbl = card.terms.get("zbl")
    reach = f" The ZBL repulsion reaches to {zbl_reach(zbl)}." if zbl else ""
    failed = [curve.pair for curve in curves if not curve.passed]
    outcome = (
        f"Not repulsive at all short distances: {', '.join(failed)}."
        if failed
        else "Finite at all distances, and repulsive at short ones."
    )
    return CardCheck(
        sha256=card.sha256,
        title="Two atoms alone",
        outcome=outcome,
        conditions=f"Distances from {SHORTEST_A:g} Å to the cutoff, in float64; short ones are "
        f"those below {SHORT_RANGE:g} of the sum of the covalent radii (`benchmarks/dimers.py`). "
        f"The data hold no such pairs: the depths of the wells mean nothing.{reach}",
        values={f"{curve.pair}_repulsive_below_A": curve.repulsive_below_A for curve in curves},
        references={f"{curve.pair}_repulsive_below_A": curve.short_range_A for curve in curves},
        reference="wanted, at least",
        picture=PICTURE,
        date=today(),
    )


def zbl_reach(settings: dict[str, Any]) -> str:
    """Where the repulsion of close nuclei ends, in words."""
    reach = f"{settings['switch_off']:g} Å"
    fraction = settings.get("covalent_fraction")
    if fraction is None:
        return reach
    return f"{fraction:g} of the sum of the covalent radii, {reach} at most"


def draw(curves: list[Curve]) -> Figure:
    """Energies and forces, linear around zero and logarithmic beyond."""
    figure = new_figure(8.0, 3.4)
    panels = figure.subplots(1, 2)
    for curve in curves:
        panels[0].plot(curve.distance_A, curve.energy_eV, lw=1.2, label=curve.pair)
        panels[1].plot(curve.distance_A, curve.force_eV_per_A, lw=1.2)
    for axes, label in zip(panels, ("energy (eV)", "force apart (eV/Å)"), strict=True):
        dress(axes)
        axes.set_yscale("symlog", linthresh=1.0)
        axes.axhline(0.0, color="0.6", lw=0.8)
        axes.set_xlabel("distance (Å)")
        axes.set_ylabel(label)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


if __name__ == "__main__":
    main()
