"""Driver of i-PI, in i-PI's own process, with all replicas of a step in one batched evaluation.

i-PI loads this file by its path, as ``<pes> custom </pes>`` of an ``<ffdirect>``; see
:func:`ase_geomformer.engines.ipi.inputs.forcefield`. Its cells hold vectors in columns; energies
are in Hartree, lengths in Bohr, and the virial is minus the volume times the stress.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree
from ipi.pes.dummy import Dummy_driver

from ase_geomformer.engines.ipi.given import GIVEN, Given
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.runs.structures import read_structure

# The names that i-PI looks for.
__DRIVER_NAME__ = "geomformer"
__DRIVER_CLASS__ = "GeomformerDriver"

# What i-PI takes from a driver for each replica: energy, forces, virial, and a text.
Answer = list[Any]


class GeomformerDriver(Dummy_driver):
    """Energies, forces and virials of replicas by a potential.

    Parameters
    ----------
    potential : str
        Name or path.
    structure : str
        File with the atoms, in i-PI's order, their boundaries, and total charge and spin.
    dtype : str
    """

    def __init__(
        self, potential: str = "", structure: str = "", dtype: str = "float64", **keywords: Any
    ) -> None:
        given = GIVEN.get()
        if given is None:
            if not potential or not structure:
                raise ValueError("the driver needs the parameters potential and structure")
            atoms = read_structure(structure, "-1", "i-PI")
            given = Given(as_evaluator(potential, dtype=dtype), atoms)
        self._evaluate, self._atoms = given.evaluate, given.atoms
        self._periodic = bool(self._atoms.pbc.all())
        super().__init__(**keywords)

    def compute(self, cell: Any, pos: Any) -> Any:
        """Answers for one replica, or for lists of several."""
        if isinstance(cell, list):
            return self._answers(cell, pos)
        return tuple(self._answers([cell], [pos])[0])

    def _answers(self, cells: list[Any], positions: list[Any]) -> list[Answer]:
        replicas = [
            self._replica(cell, place) for cell, place in zip(cells, positions, strict=True)
        ]
        names = ("energy", "forces", "stress") if self._periodic else ("energy", "forces")
        answers = []
        for atoms, found in zip(replicas, self._evaluate(replicas, names), strict=True):
            virial = np.zeros((3, 3))
            if self._periodic:
                xx, yy, zz, yz, xz, xy = -found["stress"] * atoms.get_volume() / Hartree
                virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            forces = found["forces"] * (Bohr / Hartree)
            if not (np.isfinite(found["energy"]) and np.isfinite(forces).all()):
                raise FloatingPointError(
                    "energy or forces of a replica are not finite; atoms may be too close, or the "
                    "time step too long"
                )
            answers.append([found["energy"] / Hartree, forces, virial, json.dumps({})])
        return answers

    def _replica(self, cell: Any, place: Any) -> Atoms:
        atoms = self._atoms.copy()
        if self._periodic:
            atoms.set_cell(np.asarray(cell).reshape(3, 3).T * Bohr)
        atoms.set_positions(np.asarray(place).reshape(-1, 3) * Bohr, apply_constraint=False)
        return atoms
