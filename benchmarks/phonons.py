"""Phonons beside experiment and DFT; what batches and exact force constants buy.

Nine measurements, each on request, all with a potential of silicon but for other crystals:

- bands: frequencies of silicon beside experiment, see ``phonon_bands.py``;
- copper: the same of copper, with so3krates-mlearn-cu;
- mgo: the same of magnesium oxide, with est-mgo, beside DFT;
- germanium, molybdenum, nickel: the same with est-mlearn-ge and so on, beside nothing;
- hessian: exact force constants against displacements, difference and time;
- batches: displaced supercells in batches and one by one, of a phonon calculation with 216 atoms
  and of the first pairs of its third order;
- conductivity: lattice thermal conductivity at 300 K beside 148 W/m/K (C. J. Glassbrenner and
  G. A. Slack, Phys. Rev. 134, A1058 (1964); natural silicon).

From the root of a checkout:

    python benchmarks/phonons.py --output docs/benchmarks/phonons.json --figures docs/images
"""

from __future__ import annotations

import os
import platform
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from phonon_bands import beside
from timing import clocked

from ase_geomformer.evaluate import BatchEvaluator, SerialEvaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import ConductivitySettings, PhononSettings
from ase_geomformer.recipes.lattice.cells import to_ase
from ase_geomformer.recipes.lattice.conductivity.run import thermal_conductivity
from ase_geomformer.recipes.lattice.conductivity.third_order import make_phono3py
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.phonons.run import make_phonopy, phonons
from ase_geomformer.runs.plain import to_json

POTENTIAL = "so3krates-mlearn-si"
REPEATS = 4
MEASURED_CONDUCTIVITY_W_PER_MK = 148.0


def main() -> None:
    """Measure, print, and write JSON and figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--potential", default=POTENTIAL)
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N]")
    parser.add_argument("--supercell_length_A", type=float, default=15.0)
    parser.add_argument("--pairs", type=int, default=8, help="pairs that are timed")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--figures", type=Path, help="folder for figures")
    parser.add_argument(
        "--cards", action="store_true", help="write bands into the potentials' folders"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = machine(options)
    for part in options.parts:
        found[part] = PARTS[part](options)
        print(part, to_json(found[part]), flush=True)
    if options.output is not None:
        write_text(options.output, to_json(found))


def hessian(options: Namespace) -> dict[str, Any]:
    """Exact force constants against displacements, of the same unrelaxed crystal."""
    displaced, time_displaced = _phonons(options, "displacements", relax=False)
    exact, time_exact = _phonons(options, "hessian", relax=False)
    difference = np.abs(displaced.modes.frequencies_THz - exact.modes.frequencies_THz)
    return {
        "atoms_in_supercell": len(exact.phonon.supercell),
        "displacement_A": PhononSettings().displacement_A,
        "largest_difference_THz": float(difference.max()),
        "mean_difference_THz": float(difference.mean()),
        "displacements": time_displaced,
        "hessian": time_exact,
    }


def batches(options: Namespace) -> dict[str, Any]:
    """Forces on displaced supercells in batches and one by one."""
    crystal = bulk("Si", "diamond", a=5.43)
    length = options.supercell_length_A
    settings = ConductivitySettings(phonon_supercell_length_A=length)
    third = make_phono3py(crystal, settings)
    second = make_phonopy(crystal, PhononSettings(supercell_length_A=length))
    second.generate_displacements(distance=0.01, is_plusminus=True)
    pairs = [cell for cell in third.supercells_with_displacements if cell is not None]
    sets = {
        "phonon": [to_ase(cell) for cell in second.supercells_with_displacements or []],
        "third_order": [to_ase(cell) for cell in pairs[: options.pairs]],
    }
    batched = BatchEvaluator(options.potential, device=options.device, dtype="float64")
    serial = SerialEvaluator(batched.calculator)
    found: dict[str, Any] = {"supercells_of_third_order": len(pairs)}
    for name, structures in sets.items():
        # Neighbour lists, memory and code are warm after this. ASE's calculator remembers the last
        # structure, which is not the first of those timed.
        for evaluate in (batched, serial):
            evaluate(structures[-1:], ("forces",))
        # In turn, and the best of each: what else the machine does is in neither.
        timed = [(_timed(serial, structures), _timed(batched, structures)) for _ in range(REPEATS)]
        one, many = (
            min(times, key=lambda time: time["cpu_s"]) for times in zip(*timed, strict=True)
        )
        found[name] = {
            "supercells": len(structures),
            "atoms": len(structures[0]),
            "serial": one,
            "batched": many,
            "ratio_wall": one["wall_s"] / many["wall_s"],
            "ratio_cpu": one["cpu_s"] / many["cpu_s"],
        }
    return found


def conductivity(options: Namespace) -> dict[str, Any]:
    """Conductivity at 300 K from third order in a supercell of 64 atoms."""
    settings = ConductivitySettings(
        phonon_supercell_length_A=options.supercell_length_A,
        temperature_min_K=200.0, temperature_max_K=800.0, temperature_step_K=100.0,
        pair_cutoff_A=5.0, mesh=[11, 11, 11],
    )  # fmt: skip
    crystal = bulk("Si", "diamond", a=5.43)
    evaluator = BatchEvaluator(options.potential, device=options.device, dtype="float64")
    result, seconds = clocked(
        lambda: thermal_conductivity(crystal, evaluator, settings, progress=False)
    )
    warm = int(np.argmin(np.abs(result.temperatures_K - 300.0)))
    return {
        "structures_evaluated": result.structures_evaluated,
        "pair_cutoff_A": settings.pair_cutoff_A,
        "mesh": settings.mesh,
        "potential_W_per_mK": float(result.conductivity_W_per_mK[warm, 0]),
        "measured_W_per_mK": MEASURED_CONDUCTIVITY_W_PER_MK,
        **seconds,
    }


PARTS: dict[str, Callable[[Namespace], dict[str, Any]]] = {
    "bands": lambda options: beside(options, "silicon", options.potential),
    "copper": lambda options: beside(options, "copper", "so3krates-mlearn-cu"),
    "mgo": lambda options: beside(options, "mgo", "est-mgo"),
    "germanium": lambda options: beside(options, "germanium", "est-mlearn-ge"),
    "molybdenum": lambda options: beside(options, "molybdenum", "est-mlearn-mo"),
    "nickel": lambda options: beside(options, "nickel", "est-mlearn-ni"),
    "hessian": hessian,
    "batches": batches,
    "conductivity": conductivity,
}


def _phonons(
    options: Namespace, source: str, *, relax: bool = True
) -> tuple[PhononResult, dict[str, float]]:
    settings = PhononSettings(
        supercell_length_A=options.supercell_length_A, force_constants=source, relax=relax,
        mesh_length_A=40.0,
    )  # fmt: skip
    evaluator = BatchEvaluator(options.potential, device=options.device, dtype="float64")
    crystal = bulk("Si", "diamond", a=5.43)
    return clocked(lambda: phonons(crystal, evaluator, settings, progress=False))


def _timed(evaluate: BatchEvaluator | SerialEvaluator, structures: list[Atoms]) -> dict[str, float]:
    _, seconds = clocked(lambda: evaluate(structures, ("forces",)))
    return seconds


def machine(options: Namespace) -> dict[str, Any]:
    """Where and when it was measured."""
    return {
        "potential": options.potential,
        "device": options.device,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


if __name__ == "__main__":
    main()
