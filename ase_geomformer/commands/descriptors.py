"""``ase-geomformer descriptors``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from ase import Atoms
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Invariant features of atoms and structures by a potential: what enters the last, linear layer "
    "of its energy. Writes descriptors.npz ('atoms' (N, D), 'structures' (S, D), the means over "
    "their atoms, and 'structure_of_atom' (N,)), descriptors.extxyz with them as an array and in "
    "info, map.png with the structures in the plane of their largest differences, settings.yaml "
    "and result.json."
)
FILES = ("descriptors.npz", "descriptors.extxyz", "map.png")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index=":")
    arguments.add_output(parser, required=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.accuracy.map import descriptor_map, plane
    from ase_geomformer.machine.text import printable
    from ase_geomformer.runs.folder import check_folder, start_folder, write_result
    from ase_geomformer.runs.provenance import provenance
    from ase_geomformer.runs.structures import read_structures
    from ase_geomformer.runs.style import save_figure
    from ase_geomformer.runtime.descriptors import descriptors, structure_rows

    if options.calculator is not None:
        raise ValueError("descriptors are those of a potential; give --potential, not --calculator")
    folder = check_folder(options.output, overwrite=options.overwrite)
    frames, names = read_structures(options.structure, str(options.index))
    calculator: Any = common.calculator(options)
    found = descriptors(calculator.prepared, frames, progress=options.progress)
    rows = structure_rows(found)
    start_folder(folder, common.inputs(options), FILES)
    _write(folder, frames, found, rows)
    groups = [atoms.get_chemical_formula(empirical=True) for atoms in frames]
    save_figure(descriptor_map(rows, groups), folder / "map.png")
    places, shares = plane(rows)
    entries = [
        {"name": name, "formula": atoms.get_chemical_formula(), "map": place}
        for name, atoms, place in zip(names, frames, places, strict=True)
    ]
    write_result(
        folder,
        {
            "width": rows.shape[1],
            "map_shares": shares,
            "structures": entries,
            "provenance": provenance(calculator),
        },
    )
    atoms = sum(map(len, frames))
    sys.stdout.write(
        f"{rows.shape[1]} features of {atoms} atoms in {len(frames)} structures; files in "
        f"{printable(str(folder))}\n"
    )
    return 0


def _write(folder: Path, frames: list[Atoms], found: list[np.ndarray], rows: np.ndarray) -> None:
    """The numbers, in both formats."""
    import numpy as np
    from ase.io import write

    from ase_geomformer.machine.files import atomic_file

    counts = [len(atoms) for atoms in frames]
    with atomic_file(folder / FILES[0]) as temporary:
        np.savez_compressed(
            temporary,
            atoms=np.concatenate(found),
            structures=rows,
            structure_of_atom=np.repeat(np.arange(len(frames)), counts),
        )
    described = []
    for atoms, values, row in zip(frames, found, rows, strict=True):
        copy = atoms.copy()
        copy.set_array("descriptor", values)
        copy.info["descriptor"] = row
        described.append(copy)
    with atomic_file(folder / FILES[1]) as temporary:
        write(temporary, described, format="extxyz")
