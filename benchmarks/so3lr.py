"""What SO3LR is good for, measured: docs/so3lr.md and the numbers behind it.

    ase-geomformer models get so3lr
    python benchmarks/so3lr.py --data ../shared/data [PART ...]

Each part is measured on its own and kept in docs/benchmarks/so3lr-accuracy.json; the page is
written from all that are there, and from what benchmarks/water.py and benchmarks/so3lr_speed.py
wrote. ``page`` alone writes the page anew.
"""

from __future__ import annotations

import json
import lzma
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.collections import g2
from ase.data.s22 import (
    create_s22_system,
    get_interaction_energy_cc,
    get_number_of_dimer_atoms,
    s22,
)
from ase.io import iread
from so3lr_crystals import crystals
from so3lr_frequencies import frequencies, relaxed
from so3lr_liquid import water_box
from so3lr_page import draw_conformers, page
from so3lr_tail import tail
from so3lr_torsions import draw as draw_torsions
from so3lr_torsions import torsions

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.style import save_figure

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = Path("benchmarks/so3lr-accuracy.json")
KCAL = units.mol / units.kcal
ELEMENTS = {"H", "C", "N", "O", "F", "P", "S", "Cl"}
DATA = {
    "s66x10": "comp6_s66x8/s66x10_ccsdt_ref.extxyz.xz",
    "sapt10k": "sapt10k/sapt10k.extxyz.xz",
    "conformers": "conformer_benchmark/conformers.extxyz.xz",
    "charged dimers": "charged_dimers/charge_charge.extxyz.xz",
}
ACETATE = 7  # atoms
METHODS = ("mp2", "wb97", "b3lypTZ", "pbe", "gfn2", "ani1cc", "ani1x", "ani2")


def main() -> None:
    """Measure the parts that are asked for, and write the page."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parser.add_argument("--potential", default="so3lr")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    unknown = set(options.parts) - {*PARTS, "page"}
    if unknown:
        parser.error(f"unknown parts {sorted(unknown)}; there are {', '.join(PARTS)} and page")
    path = options.docs / RESULTS
    results = json.loads(path.read_text()) if path.exists() else {}
    for part in (part for part in PARTS if part in options.parts):
        start = time.process_time()
        found = PARTS[part](options.potential, options.data)
        results[part] = {"processor_s": round(time.process_time() - start, 1), **found}
        write_text(path, json.dumps(results, indent=1) + "\n")
        print(part, results[part]["processor_s"], "s")
    for part, file in ELSEWHERE.items():
        if (options.docs / file).exists():
            results[part] = json.loads((options.docs / file).read_text())
    for part, draw in FIGURES.items():
        if part in results:
            save_figure(draw(results[part]["rows"]), options.docs / f"images/so3lr-{part}.png")
    write_text(options.docs / "so3lr.md", page(results))


def interaction_energies(
    potential: str,
    dimers: list[tuple[Atoms, int]],
    charges: Iterable[tuple[int, int]],
    **settings: Any,
) -> np.ndarray:
    """Energies of dimers less those of their parts, kcal/mol; the first part's atoms come first."""
    structures = []
    for (atoms, first), (one, other) in zip(dimers, charges, strict=True):
        for part, charge in ((atoms, one + other), (atoms[:first], one), (atoms[first:], other)):
            part = Atoms(part.numbers, part.positions, info={"charge": charge})
            structures.append(part)
    found = evaluate_many(structures, potential, ("energy",), dtype="float64", **settings)
    energies = np.array([entry["energy"] for entry in found]).reshape(-1, 3)
    return (energies[:, 0] - energies[:, 1] - energies[:, 2]) * KCAL


def errors(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    difference = np.asarray(found) - np.asarray(expected)
    return {
        "number": len(difference),
        "mae": float(np.abs(difference).mean()),
        "mean_error": float(difference.mean()),
        "largest": float(np.abs(difference).max()),
        "mean_size": float(np.abs(expected).mean()),
    }


def read(data: Path, name: str) -> Iterator[Atoms]:
    # ASE looks back for every frame, and an archive would be unpacked from its beginning each time.
    text = StringIO(lzma.decompress((data / DATA[name]).read_bytes()).decode())
    return iread(text, index=":", format="extxyz")


def known(atoms: Atoms) -> bool:
    return set(atoms.get_chemical_symbols()) <= ELEMENTS


def of_s22() -> tuple[list[tuple[Atoms, int]], np.ndarray]:
    dimers = [(create_s22_system(name), get_number_of_dimer_atoms(name)[0]) for name in s22]
    return dimers, np.array([get_interaction_energy_cc(name) for name in s22]) * KCAL


def long_range(potential: str, _: Path) -> dict[str, Any]:
    """The water dimer with each form and cutoff, and S22 as a whole."""
    dimers, expected = of_s22()
    water = [dimers[s22.index("Water_dimer")]]
    rows = {}
    forms: list[tuple[str, dict[str, Any]]] = [
        ("auto", {}),
        *((f"published, {r:g}", {"long_range": "published", "long_range_cutoff": r})
          for r in (6.0, 8.0, 10.0, 12.0, 20.0, 50.0)),
        *((f"neutral, {r:g}", {"long_range_cutoff": r}) for r in (6.0, 8.0, 10.0, 12.0, 20.0)),
    ]  # fmt: skip
    for name, settings in forms:
        found = interaction_energies(potential, dimers, [(0, 0)] * len(dimers), **settings)
        dimer = interaction_energies(potential, water, [(0, 0)], **settings)[0]
        rows[name] = {"water_dimer": float(dimer), **errors(found, expected)}
    boxed = {}
    calculator = PotentialCalculator(potential, dtype="float64")
    for name, pbc in (("crystal", True), ("slab", [1, 1, 0]), ("wire", [1, 0, 0])):
        energies = []
        for part in (water[0][0], water[0][0][:3], water[0][0][3:]):
            atoms = Atoms(part.numbers, part.positions)
            atoms.set_cell([40.0] * 3)
            atoms.pbc = pbc
            energies.append(float(calculator.get_property("energy", atoms)))
        boxed[name] = (energies[0] - energies[1] - energies[2]) * KCAL
    reference = float(expected[s22.index("Water_dimer")])
    return {"rows": rows, "boxed": boxed, "water_dimer_reference": reference}


def s22_by_kind(potential: str, _: Path) -> dict[str, Any]:
    dimers, expected = of_s22()
    found = interaction_energies(potential, dimers, [(0, 0)] * len(dimers))
    kinds = {"hydrogen bonds": slice(0, 7), "dispersion": slice(7, 15), "mixed": slice(15, 22)}
    rows = {kind: errors(found[part], expected[part]) for kind, part in kinds.items()}
    return {"rows": {**rows, "all": errors(found, expected)}}


def s66x10(potential: str, data: Path) -> dict[str, Any]:
    frames = list(read(data, "s66x10"))
    found = interaction_energies(
        potential, [(atoms, atoms.info["natoms_A"]) for atoms in frames], [(0, 0)] * len(frames)
    )
    expected = np.array([atoms.info["E_int_kcal"] for atoms in frames])
    system = np.array([int(atoms.info["system"]) for atoms in frames])
    scale = np.array([float(atoms.info["z"]) for atoms in frames])
    kinds = {
        "hydrogen bonds": system <= 23,
        "dispersion": (system > 23) & (system <= 46),
        "mixed": system > 46,
    }
    rows = {}
    for kind, chosen in {**kinds, "all": system > 0}.items():
        near = chosen & (scale < 0.89)
        rows[kind] = errors(found[chosen & ~near], expected[chosen & ~near])
        rows[f"{kind}, squeezed"] = errors(found[near], expected[near])
    return {"rows": rows}


def sapt10k(potential: str, data: Path) -> dict[str, Any]:
    frames = [atoms for atoms in read(data, "sapt10k") if known(atoms)]
    charges = [(int(a.info["charge_A"]), int(a.info["charge_B"])) for a in frames]
    found = interaction_energies(
        potential, [(atoms, atoms.info["natoms_A"]) for atoms in frames], charges
    )
    expected = np.array([atoms.info["E_int_kcal"] for atoms in frames])
    sets = np.array([atoms.info["set"] for atoms in frames])
    charged = np.array([one != 0 or other != 0 for one, other in charges])
    groups = {name: sets == name for name in sorted(set(sets))}
    groups |= {"all neutral": ~charged, "all charged": charged}
    rows = {name: errors(found[g], expected[g]) for name, g in groups.items() if g.any()}
    return {"rows": rows}


def conformers(potential: str, data: Path) -> dict[str, Any]:
    """Neutral molecules of its elements; energies from their mean, molecule by molecule."""
    frames = [
        atoms
        for atoms in read(data, "conformers")
        if atoms.info["set"] == "Neutral_jobs" and "E_dlpno" in atoms.info and known(atoms)
    ]
    structures = [Atoms(atoms.numbers, atoms.positions) for atoms in frames]
    found = evaluate_many(structures, potential, ("energy",), dtype="float32")
    by_molecule: dict[str, list[int]] = {}
    for index, atoms in enumerate(frames):
        by_molecule.setdefault(atoms.info["molecule"], []).append(index)
    groups = [indices for indices in by_molecule.values() if len(indices) > 2]
    energies = {"SO3LR": np.array([entry["energy"] for entry in found]) * KCAL}
    for method in METHODS:
        energies[method] = np.array([atoms.info.get(f"E_{method}", np.nan) for atoms in frames])
    reference = np.array([atoms.info["E_dlpno"] for atoms in frames])
    rows = {}
    for method, values in energies.items():
        found_by = [centred(values[group], reference[group]) for group in groups]
        kept = [pair for pair in found_by if np.isfinite(pair[0])]
        maes, r2 = np.transpose(kept)
        rows[method] = {"median_mae": float(np.median(maes)), "median_r2": float(np.median(r2))}
    return {"rows": rows, "molecules": len(groups), "conformers": sum(map(len, groups))}


def centred(values: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """MAE of energies from their mean, and the square of the correlation."""
    one, other = values - values.mean(), reference - reference.mean()
    if not np.isfinite(one).all() or not one.any() or not other.any():
        return np.nan, np.nan
    return float(np.abs(one - other).mean()), float(np.corrcoef(one, other)[0, 1] ** 2)


def charged_dimers(potential: str, data: Path) -> dict[str, Any]:
    """Binding energies, and those from the farthest distance of each dimer on, eV.

    One of the two molecules is acetate.
    """
    frames = [atoms for atoms in read(data, "charged dimers") if known(atoms)]
    charges = [(int(atoms.info["chargeA"]), int(atoms.info["chargeB"])) for atoms in frames]
    first = [
        ACETATE if one < 0 else len(atoms) - ACETATE
        for atoms, (one, _) in zip(frames, charges, strict=True)
    ]
    dimers = list(zip(frames, first, strict=True))
    binding = interaction_energies(potential, dimers, charges) / KCAL
    reference = np.array(
        [a.get_potential_energy() - a.info["energyA"] - a.info["energyB"] for a in frames]
    )
    distance = np.array([float(atoms.info["distance"]) for atoms in frames])
    dimer = np.array([int(atoms.info["dimer"]) for atoms in frames])
    found, expected = binding.copy(), reference.copy()
    for curve in (dimer == index for index in np.unique(dimer)):
        farthest = np.flatnonzero(curve)[np.argmax(distance[curve])]
        found[curve] -= binding[farthest]
        expected[curve] -= reference[farthest]
    near = distance < 5
    rows = {
        "from the ions apart": errors(binding, reference),
        "from the farthest distance, below 5 Å": errors(found[near], expected[near]),
        "from the farthest distance, beyond 5 Å": errors(found[~near], expected[~near]),
    }
    return {"rows": rows}


def geometries(potential: str, _: Path) -> dict[str, Any]:
    """Bond lengths of the G2 molecules beside the MP2(full)/6-31G* geometries they start from."""
    rows = {}
    for name in g2.names:
        atoms = molecule(name)
        if len(atoms) < 2 or not known(atoms):
            continue
        atoms.info["spin"] = round(abs(atoms.get_initial_magnetic_moments().sum())) + 1
        before = bonds(atoms)
        done = relaxed(atoms, potential)
        changes = [abs(atoms.get_distance(i, j) - d) for i, j, d in before]
        rows[name] = {
            "converged": done,
            "largest_A": max(changes),
            "mean_A": float(np.mean(changes)),
        }
    return {"rows": rows}


def bonds(atoms: Atoms) -> list[tuple[int, int, float]]:
    from ase.neighborlist import natural_cutoffs, neighbor_list

    found = zip(*neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=1.15)), strict=True)
    return [(i, j, d) for i, j, d in found if i < j] or [(0, 1, atoms.get_distance(0, 1))]


def cost(potential: str, _: Path) -> dict[str, Any]:
    """Processor time of a step of water, ms, on one core; the least of several, in turns."""
    rows = {}
    for number in (64, 216, 1000):
        atoms = water_box(number)
        choices = {
            "auto": {},
            "published, 12": {"long_range": "published"},
            "neutral, 12": {"long_range_cutoff": 12.0},
        }
        calculators = {
            name: PotentialCalculator(
                potential, dtype="float32", device="cpu", compile=False, **settings
            )
            for name, settings in choices.items()
        }
        best = dict.fromkeys(choices, np.inf)
        rng = np.random.default_rng(0)
        for _round in range(6):
            for name, calculator in calculators.items():
                atoms.positions += rng.normal(scale=0.005, size=atoms.positions.shape)
                start = time.process_time()
                calculator.get_property("forces", atoms)
                best[name] = min(best[name], 1e3 * (time.process_time() - start))
        rows[str(number)] = best
    return {"rows": rows}


PARTS: dict[str, Callable[[str, Path], dict[str, Any]]] = {
    "long range": long_range,
    "s22": s22_by_kind,
    "s66x10": s66x10,
    "sapt10k": sapt10k,
    "conformers": conformers,
    "charged dimers": charged_dimers,
    "frequencies": frequencies,
    "geometries": geometries,
    "torsions": torsions,
    "crystals": crystals,
    "tail": tail,
    "cost": cost,
}
ELSEWHERE = {"water": "benchmarks/so3lr-water.json", "speed": "benchmarks/so3lr-speed.json"}
FIGURES = {"conformers": draw_conformers, "torsions": draw_torsions}

if __name__ == "__main__":
    main()
