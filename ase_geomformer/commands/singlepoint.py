"""``ase-geomformer singlepoint``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.machine.display import Table
    from ase_geomformer.runs.result import Entry

USAGE = "--potential NAME --structure FILE [OPTION ...]"
DESCRIPTION = (
    "Energy, forces and, where the cell has a volume, stress (tensile positive; xx, yy, zz, yz, "
    "xz, xy) of the structures in a file. With --output, writes settings.yaml and result.json: "
    "the results of a single structure at the top level, those of several under 'frames'."
)
PROPERTIES = ("energy", "energies", "forces")
NO_STRESS = "stress_eV_per_A3 is null where the cell has no volume"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index=":")
    arguments.add_output(parser, required=False, shown="json")
    arguments.add_database(parser)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.runs.provenance import provenance

    folder = common.check_output(options)
    frames, names = common.named_structures(options)
    calculator = common.calculator(options)
    results = frame_results(calculator, frames)
    content: dict[str, Any] = results[0] if len(frames) == 1 else {"frames": results}
    if any(result["stress_eV_per_A3"] is None for result in results):
        content = {**content, "note": NO_STRESS}
    content = {**content, "provenance": provenance(calculator)}
    common.to_database(options, "singlepoint", lambda: _entries(frames, names, results), calculator)
    common.give_results(options, folder, content, lambda: _table(frames, results))
    return 0


def frame_results(calculator: Calculator, frames: list[Atoms]) -> list[dict[str, Any]]:
    """Results of every frame, with units in the names."""
    from ase_geomformer.calculator import PotentialCalculator
    from ase_geomformer.evaluate import as_evaluator
    from ase_geomformer.graph.structure import geometry
    from ase_geomformer.runtime.results import has_volume

    for index, atoms in enumerate(frames):
        try:
            geometry(atoms)
        except ValueError as error:
            raise ValueError(f"frame {index}: {error}") from None
    evaluate, results = as_evaluator(calculator), dict[int, dict[str, Any]]()
    offered = {*calculator.implemented_properties}
    if not isinstance(calculator, PotentialCalculator):
        offered -= {"energies"}  # which some calculators announce and do not have
    known = [name for name in PROPERTIES if name in offered]
    for with_stress in (True, False):
        chosen = [
            index
            for index, atoms in enumerate(frames)
            if ("stress" in calculator.implemented_properties and has_volume(atoms)) == with_stress
        ]
        properties = (*known, *(("stress",) if with_stress else ()))
        found = evaluate([frames[index] for index in chosen], properties)
        results |= dict(zip(chosen, found, strict=True))
    return [
        {
            "formula": atoms.get_chemical_formula(),
            "energy_eV": results[index]["energy"],
            "energies_eV": results[index].get("energies"),
            "forces_eV_per_A": results[index].get("forces"),
            "stress_eV_per_A3": results[index].get("stress"),
        }
        for index, atoms in enumerate(frames)
    ]


def _entries(frames: list[Atoms], names: list[str], results: list[dict[str, Any]]) -> list[Entry]:
    """Rows for a database: structures with their results."""
    from ase.calculators.singlepoint import SinglePointCalculator

    from ase_geomformer.runs.result import Entry

    found = []
    for atoms, name, result in zip(frames, names, results, strict=True):
        copy = atoms.copy()
        known = {
            "energy": result["energy_eV"],
            "forces": result["forces_eV_per_A"],
            "stress": result["stress_eV_per_A3"],
        }
        copy.calc = SinglePointCalculator(
            copy, **{key: value for key, value in known.items() if value is not None}
        )
        found.append(Entry(name, copy, {}))
    return found


def _table(frames: list[Atoms], results: list[dict[str, Any]]) -> Table:
    import numpy as np
    from ase import units

    from ase_geomformer.machine.display import Table

    table = Table("frame", "formula", "atoms", "energy (eV)", "max force (eV/Å)", "pressure (GPa)")
    for index, (atoms, result) in enumerate(zip(frames, results, strict=True)):
        stress, forces = result["stress_eV_per_A3"], result["forces_eV_per_A"]
        table.add_row(
            str(index),
            result["formula"],
            str(len(atoms)),
            f"{result['energy_eV']:.6f}",
            "" if forces is None else f"{np.linalg.norm(forces, axis=1).max():.6f}",
            "" if stress is None else f"{-stress[:3].mean() / units.GPa:.4f}",
        )
    return table
