"""LAMMPS' part of benchmarks/engines.py, which starts it under mpiexec.

mpiexec -n 2 python benchmarks/engines_lammps.py rows.json silicon oxide
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from engines_cases import CASES, Case, Row, differences

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.engines.lammps import attach, create_atoms, start
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runtime.prepared import prepare

PRESSURES = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
# The ways that LAMMPS' processes work together; the second for one case, as it is slow.
DEEP = "silicon"


def main() -> None:
    """Compare the cases, and have the first process write the rows."""
    target, *names = sys.argv[1:]
    rows = []
    for name in names:
        for mode in ("exchange", "deep") if name == DEEP else ("exchange",):
            rows.append({"engine": "LAMMPS", "case": name, "mode": mode, **_row(CASES[name], mode)})
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 0:
        write_text(Path(target), to_json(rows))


def _row(case: Case, mode: str) -> Row:
    atoms = case.make()
    atoms.wrap()
    prepared = prepare(case.potential, **case.settings)
    lmp, symbols = box_of(atoms)
    attached = attach(lmp, prepared, symbols, mode=mode)
    lmp.command("run 0")
    forces = np.array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3)
    # Pressures by LAMMPS' own constant, whose seven digits would be all that is seen.
    constant = lmp.extract_global("nktv2p")
    voigt = -np.array([lmp.get_thermo(name) for name in PRESSURES]) / constant
    xx, yy, zz, yz, xz, xy = voigt
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    same = in_orientation(atoms)
    same.calc = PotentialCalculator(attached.evaluator.prepared)
    energy = lmp.get_thermo("pe")
    processes = lmp.extract_setting("world_size")
    local = lmp.extract_setting("nlocal")
    fewest = lmp.get_mpi_comm().allreduce(local, op=_smallest()) if processes > 1 else local
    lmp.close()
    return {
        "processes": processes,
        "fewest_atoms": fewest,
        **differences(same, energy, forces, stress if atoms.cell.rank == 3 else None),
    }


def _smallest() -> Any:
    from mpi4py import MPI

    return MPI.MIN


def box_of(atoms: Atoms) -> tuple[Any, list[str]]:
    """LAMMPS with the atoms, in the orientation that it wants, and the elements of its types."""
    lmp = start(["-screen", "none", "-log", "none"])
    lmp.command("units metal")
    return lmp, create_atoms(lmp, atoms)


def in_orientation(atoms: Atoms) -> Atoms:
    """The atoms in the orientation of LAMMPS."""
    prism = Prism(atoms.cell.array, pbc=atoms.pbc)
    turned = atoms.copy()
    turned.set_cell(prism.lammps_cell)
    turned.set_positions(prism.vector_to_lammps(atoms.positions, wrap=False))
    return turned


if __name__ == "__main__":
    main()
