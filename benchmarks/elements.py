"""Vacancy and thermal expansion of the elements that potentials learned from the mlearn data.

The energy of a vacancy is that of a relaxed supercell at the potential's own lattice constant. The
linear expansion at room temperature is quasi-harmonic; beside it stands the measured one of the
CRC handbook, where the table of references has it. From the root of a checkout with the data
beside it:

    python benchmarks/elements.py --cards

With --cards the results are written into the potentials' folders for the README.
"""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.data import atomic_numbers, reference_states
from elastic import MLEARN, TABLES
from shipped import shipped, today

from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.recipes import (
    PhononSettings,
    QHASettings,
    RelaxSettings,
    qha,
    relax,
    vacancy_formation_energy,
)

ROOM_K = 300.0
# Conventional cells along each edge, as in the paper of the data.
REPEATS = {"fcc": 3, "bcc": 3, "diamond": 2}


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the references")
    parser.add_argument("--potentials", nargs="+", help="all that fit when left out")
    parser.add_argument("--supercell_length_A", type=float, default=10.0, help="of the phonons")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    measured = json.loads((options.tables / MLEARN).read_text())["CRC"]
    for name in options.potentials or shipped():
        symbol = element_of(name)
        if symbol is None:
            continue
        folder = shipped()[name]
        sha256 = read_card(folder).sha256
        lattice = reference_states[atomic_numbers[symbol]]["symmetry"]
        evaluator = BatchEvaluator(name, dtype="float64")
        crystal = relax(
            bulk(symbol, lattice), evaluator, RelaxSettings(cell="full", fmax=1e-4), progress=False
        ).atoms
        reference = measured.get(symbol, {}).get("alpha_a")
        found = {
            "vacancy": vacancy(sha256, crystal, lattice, evaluator),
            "expansion": expansion(
                sha256, crystal, evaluator, reference, options.supercell_length_A
            ),
        }
        for check in found.values():
            print(f"{name}: {dict(check.values)}, {dict(check.references)}", flush=True)
        if options.cards:
            add_checks(folder, found)


def element_of(name: str) -> str | None:
    """The element of a potential by its name, ...-mlearn-ELEMENT; None for others."""
    match = re.search(r"-mlearn-([a-z]+)$", name)
    return match[1].title() if match else None


def vacancy(sha256: str, crystal: Atoms, lattice: str, evaluator: BatchEvaluator) -> CardCheck:
    """Formation energy of a vacancy."""
    supercell = conventional(crystal, lattice).repeat(REPEATS[lattice])
    found = vacancy_formation_energy(supercell, evaluator, settings=RelaxSettings(fmax=1e-3))
    return CardCheck(
        sha256=sha256,
        title="Vacancy",
        outcome="" if found.converged else f"Not converged: {found.reason}",
        conditions=f"Formation energy of a vacancy in {len(supercell)} sites, atoms relaxed from "
        "the perfect crystal's at the potential's own lattice constant, in float64 "
        "(`benchmarks/elements.py`). The data hold vacancies, but none relaxed: no reference.",
        values={"formation_energy_eV": found.value},
        date=today(),
    )


def expansion(
    sha256: str,
    crystal: Atoms,
    evaluator: BatchEvaluator,
    measured: float | None,
    supercell_length_A: float,
) -> CardCheck:
    """Linear thermal expansion at room temperature."""
    phonons = PhononSettings(
        supercell_length_A=supercell_length_A, mesh_length_A=40.0, temperature_max_K=500.0
    )
    result = qha(crystal, evaluator, QHASettings(phonons=phonons), progress=False)
    volumetric = dict(zip(result.temperatures_K, result.thermal_expansion_per_K, strict=True))
    references: dict[str, Any] = {} if measured is None else {"linear_expansion_per_K": measured}
    return CardCheck(
        sha256=sha256,
        title="Thermal expansion",
        outcome="" if result.converged else f"Not converged: {result.reason}",
        conditions=f"Quasi-harmonic, at {ROOM_K:g} K, supercells of {supercell_length_A:g} Å, in "
        "float64; electrons do not contribute (`benchmarks/elements.py`).",
        values={"linear_expansion_per_K": float(volumetric[ROOM_K]) / 3.0},
        references=references,
        reference="experiment" if references else "",
        date=today(),
    )


def conventional(crystal: Atoms, lattice: str) -> Atoms:
    """The cubic cell of a primitive one as ``ase.build.bulk`` makes it."""
    to_cubic = {"bcc": [[0, 1, 1], [1, 0, 1], [1, 1, 0]]}
    fcc = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]
    return make_supercell(crystal, to_cubic.get(lattice, fcc))


if __name__ == "__main__":
    main()
