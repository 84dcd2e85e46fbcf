"""Lattice constants and elasticity of the shipped mlearn potentials, beside their level of theory.

For every elemental potential that learned from the mlearn data (Zuo et al., J. Phys. Chem. A 124,
731 (2020)): lattice constant, bulk modulus and its derivative from an equation of state, and the
elastic constants with relaxed and with clamped atoms. Beside them stand PBE values: a0 and C_ij
fitted to the Elastic frames of the same data (C44 of Si and Ge with clamped atoms), and V0, B, B'
of the all-electron WIEN2k reference that ships with ASE. From the root of a checkout with the data
beside it:

    python benchmarks/elastic.py --output docs/benchmarks/elastic.json --cards

With --cards the results are written into the potentials' folders for the README.
"""

from __future__ import annotations

import json
import platform
import re
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from ase.build import bulk
from ase.collections import dcdft
from ase.data import atomic_numbers, reference_states

from ase_geomformer import list_potentials
from ase_geomformer.accuracy.checks import Check
from ase_geomformer.accuracy.model_card import add_checks
from ase_geomformer.checkpoint import read_card
from ase_geomformer.files import write_text
from ase_geomformer.provenance import to_json
from ase_geomformer.recipes import ElasticSettings, EOSSettings, elastic, eos

REFERENCES = Path("../shared/data/reference_tables/elastic_constants_exp_and_pbe.json")
# Atoms in the conventional cell, by which a volume per atom becomes a lattice constant.
ATOMS = {"diamond": 8, "fcc": 4, "bcc": 2}

# Where the C44 of the data is that of clamped atoms.
CLAMPED = ("Si", "Ge")
QUOTED = ("bulk_modulus_GPa", "C11_GPa", "C12_GPa", "C44_GPa", "C44_clamped_GPa")


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=Path, default=REFERENCES)
    parser.add_argument("--potentials", nargs="+", help="all that fit when left out")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N]")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    references = json.loads(options.references.read_text())["mlearn_pbe_dft"]["values"]
    found = potentials(options.potentials)
    rows = [
        measure(name, element, references.get(element, {}), options.device)
        for name, element in found.items()
    ]
    for row in rows:
        print(table(row))
        if options.cards:
            add_checks(list_potentials()[row["potential"]], {"elasticity": check(row)})
    if options.output is not None:
        write_text(options.output, to_json({**machine(options.device), "rows": rows}))


def potentials(names: list[str] | None) -> dict[str, str]:
    """Element of each potential whose name ends in -mlearn-ELEMENT."""
    matches = {name: re.search(r"-mlearn-([a-z]+)$", name) for name in list_potentials()}
    found = {name: match[1].title() for name, match in matches.items() if match}
    return found if names is None else {name: found[name] for name in names}


def measure(name: str, element: str, reference: dict[str, Any], device: str) -> dict[str, Any]:
    """All numbers of a potential, and those it should have."""
    from ase_geomformer.evaluate import as_evaluator

    evaluator = as_evaluator(name, device=device, dtype="float64")
    lattice = reference_states[atomic_numbers[element]]["symmetry"]
    crystal = bulk(element, lattice, a=reference.get("a0"))
    curve = eos(crystal, evaluator, EOSSettings(), progress=False)
    relaxed = elastic(crystal, evaluator, ElasticSettings(), progress=False)
    clamped = elastic(crystal, evaluator, ElasticSettings(relax_ions=False), progress=False)
    assert curve.fit is not None, curve.reason
    wien2k = dcdft.data[element]
    volume = curve.fit.volume_A3 / len(crystal)
    return {
        "potential": name,
        "sha256": read_card(list_potentials()[name]).sha256,
        "element": element,
        "converged": curve.converged and relaxed.converged,
        "a0_A": (ATOMS[lattice] * volume) ** (1 / 3),
        "bulk_modulus_GPa": curve.fit.bulk_modulus_GPa,
        "bulk_modulus_error_GPa": curve.fit.bulk_modulus_error_GPa,
        "bulk_modulus_derivative": curve.fit.bulk_modulus_derivative,
        "bulk_modulus_from_constants_GPa": relaxed.moduli.bulk_hill_GPa,
        **constants(relaxed.standard_constants_GPa, "C{}_GPa"),
        "C44_clamped_GPa": float(clamped.standard_constants_GPa[3, 3]),
        "zener_anisotropy": relaxed.zener_anisotropy,
        "mechanically_stable": relaxed.stable,
        "wall_time_s": curve.wall_time + relaxed.wall_time + clamped.wall_time,
        "pbe_of_the_data": {**reference, "B": _bulk(reference)},
        "pbe_wien2k": {
            "a0_A": (ATOMS[lattice] * wien2k["wien2k_volume"]) ** (1 / 3),
            "bulk_modulus_GPa": wien2k["wien2k_B"],
            "bulk_modulus_derivative": wien2k["wien2k_Bp"],
        },
    }


def constants(tensor: Any, form: str) -> dict[str, float]:
    """The three constants of a cubic crystal."""
    places = {"11": (0, 0), "12": (0, 1), "44": (3, 3)}
    return {form.format(name): float(tensor[place]) for name, place in places.items()}


def _bulk(reference: dict[str, Any]) -> float | None:
    if not reference:
        return None
    return float((reference["C11"] + 2 * reference["C12"]) / 3)


def table(row: dict[str, Any]) -> str:
    """A Markdown table of one potential."""
    data, wien2k = row["pbe_of_the_data"], row["pbe_wien2k"]
    clamped = row["element"] in CLAMPED
    lines = [
        ("a0 (Å)", row["a0_A"], data.get("a0"), wien2k["a0_A"], "{:.4f}"),
        ("B (GPa)", row["bulk_modulus_GPa"], data["B"], wien2k["bulk_modulus_GPa"], "{:.1f}"),
        ("B'", row["bulk_modulus_derivative"], None, wien2k["bulk_modulus_derivative"], "{:.2f}"),
        ("C11 (GPa)", row["C11_GPa"], data.get("C11"), None, "{:.1f}"),
        ("C12 (GPa)", row["C12_GPa"], data.get("C12"), None, "{:.1f}"),
        ("C44 (GPa)", row["C44_GPa"], None if clamped else data.get("C44"), None, "{:.1f}"),
        (
            "C44, clamped atoms (GPa)", row["C44_clamped_GPa"],
            data.get("C44") if clamped else None, None, "{:.1f}",
        ),
    ]  # fmt: skip
    text = [f"| {row['potential']} | potential | PBE, mlearn data | PBE, WIEN2k |", "|-|-|-|-|"]
    for label, *values, form in lines:
        shown = ("" if value is None else form.format(value) for value in values)
        text.append(f"| {label} | {' | '.join(shown)} |")
    return "\n".join(text) + "\n"


def check(row: dict[str, Any]) -> Check:
    """What the README says of a potential."""
    data = row["pbe_of_the_data"]
    shear = "C44_clamped_GPa" if row["element"] in CLAMPED else "C44_GPa"
    references = {
        "lattice_constant_A": data.get("a0"),
        "bulk_modulus_GPa": data["B"],
        "C11_GPa": data.get("C11"),
        "C12_GPa": data.get("C12"),
        shear: data.get("C44"),
    }
    values = {"lattice_constant_A": row["a0_A"], **{name: row[name] for name in QUOTED}}
    known = {name: value for name, value in references.items() if value is not None}
    off = {name: 100.0 * abs(values[name] / value - 1.0) for name, value in known.items()}
    lattice, worst = off.pop("lattice_constant_A", None), max(off.values(), default=None)
    return Check(
        sha256=row["sha256"],
        title="Lattice constant and elasticity",
        outcome="" if lattice is None or worst is None else
        f"Off by {lattice:.2g} % (lattice constant) and at most {worst:.2g} % (elasticity).",
        conditions="Equation of state, and elastic constants from stresses of strained cells, in "
        "float64; with relaxed atoms but where clamped ones are named. References are fits to "
        "the strained frames of the data (`benchmarks/elastic.py`).",
        values=values,
        references=known,
        reference="PBE",
        date=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip


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
