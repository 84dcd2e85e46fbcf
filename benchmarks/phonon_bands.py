"""Frequencies of crystals beside those measured or computed elsewhere, as tables and figures.

- silicon: inelastic neutron scattering at room temperature (G. Nilsson and G. Nelin, Phys. Rev. B
  6, 3777 (1972); Γ and the table as they are quoted by P. Giannozzi et al., Phys. Rev. B 43, 7231
  (1991));
- copper: the same at 80 K (G. Nilsson and S. Rolandson, Phys. Rev. B 7, 2393 (1973));
- magnesium oxide: force constants by DFT that phonopy ships as an example (a = 4.256 Å, as with
  PBE), without the field of the longitudinal modes at Γ, which no potential of short range has;
- germanium, molybdenum, nickel: whether all modes are stable, beside nothing.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from matplotlib.figure import Figure
from timing import clocked

from ase_geomformer import list_potentials
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.recipes import PhononSettings
from ase_geomformer.recipes.lattice.phonons.figure import draw_bands
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.phonons.run import phonons
from ase_geomformer.runs.style import ORANGE, save_figure, styled

PICTURE = "phonons.png"
STABLE_THZ = 1e-3  # what rounding may make imaginary


@dataclass(frozen=True)
class Known:
    """What is known of a crystal.

    Attributes
    ----------
    crystal : Atoms
        Where relaxation starts.
    frequencies : dict of str to dict
        Of each point and branch: the frequency in THz, and which of the sorted ones it is.
    origin, beside : str
        Heading of the column, and a sentence on where it comes from.
    """

    crystal: Atoms
    frequencies: dict[str, dict[str, tuple[float, int]]] = field(default_factory=dict)
    origin: str = ""
    beside: str = "beside no reference"


NEUTRONS = (
    "beside inelastic neutron scattering: no reference of the potential's own level of theory"
)
KNOWN = {
    "silicon": Known(
        bulk("Si", "diamond", a=5.43),
        {
            "Γ": {"LTO": (15.53, 5)},
            "X": {"TA": (4.49, 0), "LAO": (12.32, 2), "TO": (13.90, 4)},
            "L": {"TA": (3.43, 0), "LA": (11.35, 2), "LO": (12.60, 3), "TO": (14.68, 4)},
        },
        "experiment",
        NEUTRONS,
    ),
    "copper": Known(
        bulk("Cu", "fcc", a=3.62),
        {
            "X": {"T": (5.16, 0), "L": (7.38, 2)},
            "K": {"T1": (4.60, 0), "L": (5.90, 1), "T2": (6.70, 2)},
            "L": {"T": (3.41, 0), "L": (7.44, 2)},
        },
        "experiment",
        NEUTRONS,
    ),
    "mgo": Known(
        bulk("MgO", "rocksalt", a=4.25),
        {
            "Γ": {"TO": (11.20, 3)},
            "X": {"TA": (8.45, 0), "LA": (12.17, 2), "TO": (12.74, 3), "LO": (15.85, 5)},
            "L": {"TA": (7.93, 0), "TO": (10.26, 2), "LA": (15.89, 4), "LO": (16.47, 5)},
        },
        "DFT",
        "beside force constants by DFT that phonopy ships; without the field of longitudinal modes "
        "at Γ, in both",
    ),
    "molybdenum": Known(bulk("Mo", "bcc", a=3.17)),
    "germanium": Known(bulk("Ge", "diamond", a=5.78)),
    "nickel": Known(bulk("Ni", "fcc", a=3.52)),
}


def beside(options: Namespace, which: str, potential: str) -> dict[str, Any]:
    """Frequencies of a crystal by a potential beside what is known."""
    known = KNOWN[which]
    settings = PhononSettings(supercell_length_A=options.supercell_length_A, mesh_length_A=40.0)
    evaluator = BatchEvaluator(potential, device=options.device, dtype="float64")
    result, seconds = clocked(lambda: phonons(known.crystal, evaluator, settings, progress=False))
    if options.figures is not None:
        save_figure(draw_beside(result, known), options.figures / f"phonons_{which}.png")
    rows = []
    for point, branches in known.frequencies.items():
        ours = np.sort(result.bands.at(point))
        for name, (frequency, branch) in branches.items():
            rows.append(
                {
                    "mode": f"{point} {name}",
                    "reference_THz": frequency,
                    "potential_THz": float(ours[branch]),
                }
            )
    errors = np.array([row["potential_THz"] - row["reference_THz"] for row in rows])
    if options.cards:
        folder = list_potentials()[potential]
        save_figure(draw_beside(result, known), folder / PICTURE)
        add_checks(folder, {"phonons": check(folder, known, rows, result)})
    return {
        "potential": potential,
        "volume_A3_per_atom": float(result.phonon.primitive.volume / len(result.phonon.primitive)),
        "atoms_in_supercell": len(result.phonon.supercell),
        "rows": rows,
        "mean_absolute_error_THz": float(np.abs(errors).mean()) if rows else None,
        "mean_error_THz": float(errors.mean()) if rows else None,
        "lowest_frequency_THz": result.stability.lowest_frequency_THz,
        "acoustic_gap_THz": result.acoustic_gap_THz,
        **seconds,
    }


def check(
    folder: Path, known: Known, rows: list[dict[str, Any]], result: PhononResult
) -> CardCheck:
    """What the README says of the frequencies of a potential."""
    stable = result.stability.lowest_frequency_THz > -STABLE_THZ
    names = [f"{row['mode'].replace(' ', '_')}_THz" for row in rows]
    values = dict(zip(names, (row["potential_THz"] for row in rows), strict=True))
    return CardCheck(
        sha256=read_card(folder).sha256,
        title="Phonons",
        outcome="All modes are stable." if stable else "Some modes are unstable.",
        conditions=f"A supercell of {len(result.phonon.supercell)} atoms at the potential's own "
        f"lattice constant, in float64, {known.beside} (`benchmarks/phonons.py`).",
        values=values or {"highest_frequency_THz": highest(result)},
        references=dict(zip(names, (row["reference_THz"] for row in rows), strict=True)),
        reference=known.origin,
        picture=PICTURE,
        date=datetime.now(UTC).date().isoformat(),
    )


def highest(result: PhononResult) -> float:
    """The highest frequency of the bands in THz."""
    return float(max(segment.max() for segment in result.bands.frequencies_THz))


@styled
def draw_beside(result: PhononResult, known: Known) -> Figure:
    """The figure of the bands, with what is known at its named points."""
    figure = draw_bands(result)
    axes, bands = figure.axes[0], result.bands
    for ends, distances in zip(bands.labels, bands.distances, strict=True):
        for end, place in zip(ends, (distances[0], distances[-1]), strict=True):
            found = [frequency for frequency, _ in known.frequencies.get(end, {}).values()]
            (dots,) = axes.plot(
                [place] * len(found), found, "o", color=ORANGE, ms=4.5, zorder=3, clip_on=False,
            )  # fmt: skip
            dots.set_in_layout(False)
    if known.frequencies:
        dots.set_label(known.origin)
        axes.legend(handles=[dots], frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return figure
