"""Which recipe does what with which constraint: the cells that are tested, and docs' table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atom, Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.constraints import (
    ExternalForce,
    FixAtoms,
    FixBondLengths,
    FixCartesian,
    FixCartesianParametricRelations,
    FixCom,
    FixedLine,
    FixedPlane,
    FixInternals,
    FixLinearTriatomic,
    FixScaled,
    FixSubsetCom,
    FixSymmetry,
    Hookean,
)

HONOURED, REFUSED, ASIDE = "honoured", "refused", "set aside"
RELAXATIONS = ("relax", "relax-many", "cohesive")
OTHERS = ("neb", "saddle", "irc", "vibrations", "adsorption")
CRYSTALS = ("eos", "elastic", "surface", "vacancy", "phonons", "qha", "conductivity")


def slab() -> Atoms:
    """Three layers of copper in an oblique cell, a little out of place."""
    atoms = fcc111("Cu", (1, 1, 3), vacuum=5.0)
    atoms.positions += 0.05 * np.random.default_rng(1).normal(size=(3, 3))
    return atoms


def _parametric(atoms: Atoms) -> Any:
    """Atom 2 on a line along x."""
    shift = atoms.positions[2] * [0.0, 1.0, 1.0]
    return FixCartesianParametricRelations([2], np.array([[1.0], [0.0], [0.0]]), shift)


# Constraints by ASE's name; those that hold single atoms in fixed directions come first.
CONSTRAINTS: dict[str, Callable[[Atoms], Any]] = {
    "FixAtoms": lambda atoms: FixAtoms([0]),
    "FixCartesian": lambda atoms: FixCartesian([1], mask=(False, True, False)),
    "FixScaled": lambda atoms: FixScaled([1, 2], mask=(False, True, True)),
    "FixedPlane": lambda atoms: FixedPlane([2], (1.0, 1.0, 0.0)),
    "FixedLine": lambda atoms: FixedLine([2], (1.0, 0.0, 1.0)),
    "FixCom": lambda atoms: FixCom(),
    "FixSubsetCom": lambda atoms: FixSubsetCom([0, 1]),
    "FixBondLengths": lambda atoms: FixBondLengths([(0, 1)]),
    "FixLinearTriatomic": lambda atoms: FixLinearTriatomic([(0, 1, 2)]),
    "FixInternals": lambda atoms: FixInternals(bonds=[[atoms.get_distance(1, 2), [1, 2]]]),
    "FixSymmetry": lambda atoms: FixSymmetry(atoms, symprec=1e-3),
    "Hookean": lambda atoms: Hookean(1, 2, k=2.0, rt=2.0),
    "ExternalForce": lambda atoms: ExternalForce(0, 2, 0.1),
    "FixParametricRelations": _parametric,
}
IN_FIXED_DIRECTIONS = list(CONSTRAINTS)[:5]


def outcome(recipe: str, constraint: str) -> str:
    """What a recipe does with a constraint."""
    if recipe in CRYSTALS:
        return ASIDE
    if recipe in RELAXATIONS or constraint in IN_FIXED_DIRECTIONS:
        return HONOURED
    return REFUSED


def constrained(name: str) -> Atoms:
    """The slab under a constraint, with a calculator."""
    atoms = slab()
    if name == "FixLinearTriatomic":  # which is shorter than half of any cell it is in
        atoms.pbc = False
        atoms.append(Atom("Cu", atoms.positions[1] + [2.2, 0.5, 0.3]))
        atoms.positions[1] = 0.5 * (atoms.positions[0] + atoms.positions[2])
    atoms.set_constraint(CONSTRAINTS[name](atoms))
    atoms.calc = EMT()
    return atoms


def markdown() -> str:
    """The table in docs/recipes.md."""
    columns = [", ".join(names) for names in (RELAXATIONS, OTHERS, CRYSTALS)]
    lines = ["| constraint | " + " | ".join(columns) + " |", "|-" * (1 + len(columns)) + "|"]
    for constraint in CONSTRAINTS:
        cells = [outcome(column.split(",")[0], constraint) for column in columns]
        lines.append(f"| {constraint} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
