"""Lattice constants and elasticity of the shipped potentials of cubic crystals, beside PBE.

Lattice constant, bulk modulus and its derivative from an equation of state, and the elastic
constants with relaxed and with clamped atoms. For elements that learned from the mlearn data (Zuo
et al., J. Phys. Chem. A 124, 731 (2020)), PBE values stand beside them: the elastic constants that
the strained frames of the same data tell, labels and potential alike (benchmarks/strained.py), the
lattice constant at which their stress would vanish, and V0, B, B' of the all-electron WIEN2k
reference that ships with ASE. For MgO, the lattice constant and the moduli of the Materials Project
(mp-1265). From the root of a checkout with the data beside it:

    python benchmarks/elastic.py --output docs/benchmarks/elastic.json --cards

With --cards the results are written into the potentials' folders for the README.
"""

from __future__ import annotations

import gzip
import json
import platform
import re
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.build import bulk
from ase.collections import dcdft
from ase.data import atomic_numbers, reference_states
from ase.stress import voigt_6_to_full_3x3_stress
from strained import Strained, fit, strained

from ase_geomformer import list_potentials
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import ElasticSettings, EOSSettings, elastic, eos
from ase_geomformer.runs.plain import to_json
from ase_geomformer.training.settings_file import from_yaml

TABLES = Path("../shared/data/reference_tables")
MLEARN = "elastic_constants_exp_and_pbe.json"
BINARIES = "mp-binary-pbe-elasticity-2025.1.json.gz"
# Atoms in the conventional cell, by which a volume per atom becomes a lattice constant.
ATOMS = {"diamond": 8, "fcc": 4, "bcc": 2, "rocksalt": 8}

# Whose sheared frames contradict each other: 0.09 GPa at one strain, -0.04 at twice as much.
SCATTERED = ("Li",)
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
    """A crystal, the frames of its data, and PBE values of others by the names of the results."""

    atoms: Atoms
    lattice: str
    frames: list[Frame] = field(default_factory=list)
    other: dict[str, float] = field(default_factory=dict)
    other_is: str = ""


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the references")
    parser.add_argument("--potentials", nargs="+", help="all that fit when left out")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N]")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--show", type=Path, help="print the table of such a file, and end")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    if options.show is not None:
        print(table(json.loads(options.show.read_text(encoding="utf-8"))["rows"]))
        return
    torch.set_num_threads(1)
    cases = {name: case(name, options.tables) for name in options.potentials or list_potentials()}
    found = {name: one for name, one in cases.items() if one is not None}
    if options.potentials and len(found) < len(cases):
        parser.error(f"no cubic crystal is known for {', '.join(cases.keys() - found.keys())}")
    rows = [measure(name, one, options.device) for name, one in found.items()]
    print(table(rows))
    for row in rows:
        if options.cards:
            add_checks(list_potentials()[row["potential"]], {"elasticity": check(row)})
    if options.output is not None:
        write_text(options.output, to_json({**machine(options.device), "rows": rows}))


def case(name: str, tables: Path) -> Case | None:
    """The crystal of a potential by its name, ...-mlearn-ELEMENT or ...-mgo; None for others."""
    if name.endswith("-mgo"):
        return magnesium_oxide(tables / BINARIES)
    match = re.search(r"-mlearn-([a-z]+)$", name)
    return element(name, match[1].title()) if match else None


def element(name: str, symbol: str) -> Case:
    """An element of the mlearn data, and the frames that the potential learned from."""
    lattice = reference_states[atomic_numbers[symbol]]["symmetry"]
    settings = from_yaml(list_potentials()[name] / "train.yaml")
    assert settings.test_data is not None
    wien2k = dcdft.data[symbol]
    other = {
        "lattice_constant_A": (ATOMS[lattice] * wien2k["wien2k_volume"]) ** (1 / 3),
        "bulk_modulus_GPa": wien2k["wien2k_B"],
        "bulk_modulus_derivative": wien2k["wien2k_Bp"],
    }
    return Case(
        bulk(symbol, lattice, a=other["lattice_constant_A"]),
        lattice,
        [*read_frames(settings.data), *read_frames(settings.test_data)],
        other,
        "PBE, WIEN2k",
    )


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
    evaluator = BatchEvaluator(name, device=device, dtype="float64")
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
        **beside_the_data(case, evaluator),
        "pbe": case.other,
        "pbe_is": case.other_is,
    }


def beside_the_data(case: Case, evaluator: BatchEvaluator) -> dict[str, Any]:
    """What the strained frames tell, by the potential and by their labels; empty without frames."""
    if not case.frames:
        return {"of_the_frames": {}, "pbe_of_the_data": {}}
    each, frames = ATOMS[case.lattice], strained(case.frames)
    results = evaluator([frame.atoms for frame in frames], ["stress"])
    ours = fit(frames, [voigt_6_to_full_3x3_stress(one["stress"]) for one in results], each)
    labels = fit(frames, [frame.stress for frame in frames if frame.stress is not None], each)
    known = frame_values(labels)
    if case.atoms.symbols[0] in SCATTERED:
        del known["C44_of_frames_GPa"]
    derivative = case.other["bulk_modulus_derivative"]
    known["lattice_constant_A"] = labels.relaxed_lattice_constant_A(derivative)
    return {"of_the_frames": frame_values(ours), "pbe_of_the_data": known}


def frame_values(found: Strained) -> dict[str, float]:
    """The constants by the names of the results."""
    return {
        "C11_of_frames_GPa": found.c11_GPa,
        "C12_of_frames_GPa": found.c12_GPa,
        "C44_of_frames_GPa": found.c44_GPa,
    }


def constants(tensor: Any, form: str) -> dict[str, float]:
    """The three constants of a cubic crystal."""
    places = {"11": (0, 0), "12": (0, 1), "44": (3, 3)}
    return {form.format(name): float(tensor[place]) for name, place in places.items()}


HEAD = (
    "| crystal, potential | a0 (Å) | PBE, data / other | B (GPa) | PBE, other "
    "| C11, C12, C44 (GPa) | of the frames | PBE, data |\n|-|-|-|-|-|-|-|-|"
)
CONSTANTS = ("C11{}_GPa", "C12{}_GPa", "C44{}_GPa")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All potentials as Markdown, for docs/recipes.md."""
    return "\n".join([HEAD, *map(table_row, rows)])


def table_row(row: Mapping[str, Any]) -> str:
    """One potential."""
    data, other = row["pbe_of_the_data"], row["pbe"]
    crystal = re.sub(r"(?<=[a-z])\d+$", "", row["crystal"])

    def shown(values: Mapping[str, float], which: str) -> str:
        found = (values.get(name.format(which)) for name in CONSTANTS)
        return ", ".join(f"{value:.1f}" for value in found if value is not None)

    lattice = [values.get("lattice_constant_A") for values in (data, other)]
    cells = (
        f"{crystal}, `{row['potential']}`",
        f"{row['lattice_constant_A']:.4f}",
        " / ".join(f"{value:.4f}" if value else "-" for value in lattice),
        f"{row['bulk_modulus_GPa']:.1f}",
        f"{other['bulk_modulus_GPa']:.1f}",
        shown(row, ""),
        shown(row["of_the_frames"], "_of_frames"),
        shown(data, "_of_frames"),
    )
    return f"| {' | '.join(cells)} |"


def check(row: dict[str, Any]) -> CardCheck:
    """What the README says of a potential, beside its data or, where they say nothing, others."""
    known = row["pbe_of_the_data"] or row["pbe"]
    values = {name: row[name] for name in ("lattice_constant_A", *QUOTED)} | row["of_the_frames"]
    off = {name: 100.0 * abs(values[name] / known[name] - 1.0) for name in values if name in known}
    lattice, worst = off.pop("lattice_constant_A"), max(off.values())
    origin = row["pbe_is"]
    if row["of_the_frames"]:
        origin = (
            "fits to the strained frames of the data, whose crystal may be under stress: the "
            "constants of the frames are fitted to labels and potential alike, atoms clamped; the "
            "lattice constant is that at which the stress of the labels would vanish"
        )
    return CardCheck(
        sha256=row["sha256"],
        title="Lattice constant and elasticity",
        outcome=f"Off by {max(lattice, 1e-3):.2g} % (lattice constant) and at most {worst:.2g} % "
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
