"""Lattice constants and elasticity of the shipped potentials of cubic crystals, beside PBE.

Lattice constant, bulk modulus and its derivative from an equation of state, and the elastic
constants with relaxed and with clamped atoms. For elements that learned from the mlearn data (Zuo
et al., J. Phys. Chem. A 124, 731 (2020)), PBE values stand beside them: a0 and C_ij fitted to the
Elastic frames of the same data (C44 of Si and Ge with clamped atoms; not of Cu and Ni, whose
stresses are off), and V0, B, B' of the all-electron WIEN2k reference that ships with ASE. For MgO,
the lattice constant and the moduli of the Materials Project (mp-1265). From the root of a checkout
with the data beside it:

    python benchmarks/elastic.py --output docs/benchmarks/elastic.json --cards

With --cards the results are written into the potentials' folders for the README.
"""

from __future__ import annotations

import gzip
import json
import platform
import re
from argparse import ArgumentParser
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.build import bulk
from ase.collections import dcdft
from ase.data import atomic_numbers, reference_states

from ase_geomformer import list_potentials
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import ElasticSettings, EOSSettings, elastic, eos
from ase_geomformer.runs.plain import to_json

TABLES = Path("../shared/data/reference_tables")
MLEARN = "elastic_constants_exp_and_pbe.json"
BINARIES = "mp-binary-pbe-elasticity-2025.1.json.gz"
# Atoms in the conventional cell, by which a volume per atom becomes a lattice constant.
ATOMS = {"diamond": 8, "fcc": 4, "bcc": 2, "rocksalt": 8}

# Where the C44 of the data is that of clamped atoms.
CLAMPED = ("Si", "Ge")
# Whose stresses in the data have a constant error of 2.5 and 2.8 GPa, by which what is fitted to
# them is that of a compressed crystal.
PULAY = ("Cu", "Ni")
QUOTED = (
    "bulk_modulus_GPa",
    "shear_modulus_GPa",
    "C11_GPa",
    "C12_GPa",
    "C44_GPa",
    "C44_clamped_GPa",
)


@dataclass(frozen=True)
class Case:
    """A crystal, and PBE values by the names of the results: of the data, and of others."""

    atoms: Atoms
    lattice: str
    data: dict[str, float] = field(default_factory=dict)
    other: dict[str, float] = field(default_factory=dict)
    other_is: str = ""


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the references")
    parser.add_argument("--potentials", nargs="+", help="all that fit when left out")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N]")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = {name: case(name, options.tables) for name in options.potentials or list_potentials()}
    found = {name: one for name, one in cases.items() if one is not None}
    if options.potentials and len(found) < len(cases):
        parser.error(f"no cubic crystal is known for {', '.join(cases.keys() - found.keys())}")
    rows = [measure(name, one, options.device) for name, one in found.items()]
    for row in rows:
        print(table(row))
        if options.cards:
            add_checks(list_potentials()[row["potential"]], {"elasticity": check(row)})
    if options.output is not None:
        write_text(options.output, to_json({**machine(options.device), "rows": rows}))


def case(name: str, tables: Path) -> Case | None:
    """The crystal of a potential by its name, ...-mlearn-ELEMENT or ...-mgo; None for others."""
    if name.endswith("-mgo"):
        return magnesium_oxide(tables / BINARIES)
    match = re.search(r"-mlearn-([a-z]+)$", name)
    return element(match[1].title(), tables / MLEARN) if match else None


def element(symbol: str, table: Path) -> Case:
    """An element of the mlearn data."""
    found = json.loads(table.read_text())["mlearn_pbe_dft"]["values"].get(symbol, {})
    lattice = reference_states[atomic_numbers[symbol]]["symmetry"]
    data = {}
    if found and symbol not in PULAY:
        shear = "C44_clamped_GPa" if symbol in CLAMPED else "C44_GPa"
        data = {
            "lattice_constant_A": found["a0"],
            "bulk_modulus_GPa": (found["C11"] + 2 * found["C12"]) / 3,
            "C11_GPa": found["C11"],
            "C12_GPa": found["C12"],
            shear: found["C44"],
        }
        data = {name: value for name, value in data.items() if value is not None}  # Li has no C44
    wien2k = dcdft.data[symbol]
    other = {
        "lattice_constant_A": (ATOMS[lattice] * wien2k["wien2k_volume"]) ** (1 / 3),
        "bulk_modulus_GPa": wien2k["wien2k_B"],
        "bulk_modulus_derivative": wien2k["wien2k_Bp"],
    }
    atoms = bulk(symbol, lattice, a=data.get("lattice_constant_A", other["lattice_constant_A"]))
    return Case(atoms, lattice, data, other, "PBE, WIEN2k")


def magnesium_oxide(table: Path) -> Case:
    """Rock salt MgO."""
    with gzip.open(table) as file:
        (found,) = (entry for entry in json.load(file) if entry["mp_id"] == "mp-1265")
    lattice_constant = (4.0 * found["structure"]["lattice"]["volume"]) ** (1 / 3)
    other = {
        "lattice_constant_A": lattice_constant,
        "bulk_modulus_GPa": found["bulk_modulus_vrh"],
        "shear_modulus_GPa": found["shear_modulus_vrh"],
    }
    atoms = bulk("MgO", "rocksalt", a=lattice_constant)
    return Case(atoms, "rocksalt", other=other, other_is="PBE, Materials Project")


def measure(name: str, case: Case, device: str) -> dict[str, Any]:
    """All numbers of a potential, and those it should have."""
    from ase_geomformer.evaluate import as_evaluator

    evaluator = as_evaluator(name, device=device, dtype="float64")
    curve = eos(case.atoms, evaluator, EOSSettings(), progress=False)
    relaxed = elastic(case.atoms, evaluator, ElasticSettings(), progress=False)
    clamped = elastic(case.atoms, evaluator, ElasticSettings(relax_ions=False), progress=False)
    assert curve.fit is not None, curve.reason
    volume = curve.fit.volume_A3 / len(case.atoms)
    return {
        "potential": name,
        "sha256": read_card(list_potentials()[name]).sha256,
        "crystal": case.atoms.get_chemical_formula(),
        "converged": curve.converged and relaxed.converged,
        "lattice_constant_A": (ATOMS[case.lattice] * volume) ** (1 / 3),
        "bulk_modulus_GPa": curve.fit.bulk_modulus_GPa,
        "bulk_modulus_error_GPa": curve.fit.bulk_modulus_error_GPa,
        "bulk_modulus_derivative": curve.fit.bulk_modulus_derivative,
        "bulk_modulus_from_constants_GPa": relaxed.moduli.bulk_hill_GPa,
        "shear_modulus_GPa": relaxed.moduli.shear_hill_GPa,
        **constants(relaxed.standard_constants_GPa, "C{}_GPa"),
        "C44_clamped_GPa": float(clamped.standard_constants_GPa[3, 3]),
        "zener_anisotropy": relaxed.zener_anisotropy,
        "mechanically_stable": relaxed.stable,
        "wall_time_s": curve.wall_time + relaxed.wall_time + clamped.wall_time,
        "pbe_of_the_data": case.data,
        "pbe": case.other,
        "pbe_is": case.other_is,
    }


def constants(tensor: Any, form: str) -> dict[str, float]:
    """The three constants of a cubic crystal."""
    places = {"11": (0, 0), "12": (0, 1), "44": (3, 3)}
    return {form.format(name): float(tensor[place]) for name, place in places.items()}


LABELS = {
    "lattice_constant_A": ("a0 (Å)", "{:.4f}"),
    "bulk_modulus_GPa": ("B (GPa)", "{:.1f}"),
    "bulk_modulus_derivative": ("B'", "{:.2f}"),
    "shear_modulus_GPa": ("G (GPa)", "{:.1f}"),
    "C11_GPa": ("C11 (GPa)", "{:.1f}"),
    "C12_GPa": ("C12 (GPa)", "{:.1f}"),
    "C44_GPa": ("C44 (GPa)", "{:.1f}"),
    "C44_clamped_GPa": ("C44, clamped atoms (GPa)", "{:.1f}"),
}


def table(row: dict[str, Any]) -> str:
    """A Markdown table of one potential."""
    text = [f"| {row['potential']} | potential | PBE of the data | {row['pbe_is']} |", "|-|-|-|-|"]
    for name, (label, form) in LABELS.items():
        values = (row[name], row["pbe_of_the_data"].get(name), row["pbe"].get(name))
        shown = ("" if value is None else form.format(value) for value in values)
        text.append(f"| {label} | {' | '.join(shown)} |")
    return "\n".join(text) + "\n"


def check(row: dict[str, Any]) -> CardCheck:
    """What the README says of a potential, beside its data or, where they say nothing, others."""
    known = row["pbe_of_the_data"] or row["pbe"]
    values = {name: row[name] for name in ("lattice_constant_A", *QUOTED)}
    off = {name: 100.0 * abs(values[name] / known[name] - 1.0) for name in values if name in known}
    lattice, worst = off.pop("lattice_constant_A"), max(off.values())
    origin = "fits to the strained frames of the data" if row["pbe_of_the_data"] else row["pbe_is"]
    return CardCheck(
        sha256=row["sha256"],
        title="Lattice constant and elasticity",
        outcome=f"Off by {lattice:.2g} % (lattice constant) and at most {worst:.2g} % "
        "(elasticity).",
        conditions="Equation of state, and elastic constants from stresses of strained cells, in "
        "float64; with relaxed atoms but where clamped ones are named. References are "
        f"{origin} (`benchmarks/elastic.py`).",
        values=values,
        references={name: value for name, value in known.items() if name in values},
        reference="PBE",
        date=datetime.now(UTC).date().isoformat(),
    )


def machine(device: str) -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device,
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
