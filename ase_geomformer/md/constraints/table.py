"""Which constraints of ASE dynamics holds, in which ensembles, and what they take."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from ase import Atoms

from ase_geomformer.md.constraints import kinds
from ase_geomformer.md.constraints.manifold import DEGENERATE, Manifold
from ase_geomformer.md.settings import EnsembleName

# Equations between positions are held in a cell that stays as it is.
FIXED_CELL = ("nve", "nvt-langevin", "nvt-bussi", "nvt-nose-hoover")
# A structure further from its constraints, Å, is another than the one that was meant.
_FAR = 0.5
# Smaller changes than these, Å and fraction of the kinetic energy, are those of rounded files.
_MOVED, _SLOWED = 1e-6, 1e-6


@dataclass(frozen=True)
class Kind:
    """What dynamics does with a class of constraints.

    Attributes
    ----------
    holds : callable
        From a constraint and its atoms to equations; a docstring says of what.
    removes : str
        Degrees of freedom removed, for the documentation.
    ensembles : tuple of str
        Those that hold it.
    fixes_place : callable
        Whether a constraint that holds nothing still forbids translations and rotations of the
        whole structure, because its energy depends on them.
    """

    holds: Callable[[Any, Atoms], kinds.Holding]
    removes: str
    ensembles: tuple[str, ...] = FIXED_CELL
    fixes_place: Callable[[Any], bool] = lambda _: False


def _hookean_to_a_place(constraint: Any) -> bool:
    return not isinstance(constraint.todict()["kwargs"]["a2"], int)


# By the name of the class, so that an older ASE without one of them does.
CONSTRAINTS: dict[str, Kind] = {
    "FixAtoms": Kind(kinds.fixed_atoms, "3 per atom"),
    "FixCartesian": Kind(kinds.fixed_cartesian, "1 per fixed coordinate"),
    "FixScaled": Kind(kinds.fixed_scaled, "1 per fixed coordinate"),
    "FixedPlane": Kind(kinds.fixed_plane, "1 per atom"),
    "FixedLine": Kind(kinds.fixed_line, "2 per atom"),
    "FixedMode": Kind(kinds.fixed_mode, "1"),
    "FixCom": Kind(kinds.fixed_centre, "3"),
    "FixSubsetCom": Kind(kinds.fixed_centre, "3"),
    "FixBondLengths": Kind(kinds.fixed_bonds, "1 per bond"),
    "FixLinearTriatomic": Kind(kinds.fixed_triatomics, "4 per molecule"),
    "FixInternals": Kind(kinds.fixed_internals, "1 per coordinate"),
    "FixSymmetry": Kind(kinds.fixed_symmetry, "those that break the symmetry"),
    "FixCartesianParametricRelations": Kind(
        kinds.fixed_parameters, "3 per atom, less 1 per parameter"
    ),
    "FixScaledParametricRelations": Kind(
        kinds.fixed_parameters, "3 per atom, less 1 per parameter"
    ),
    "Hookean": Kind(kinds.nothing, "none: adds energy", fixes_place=_hookean_to_a_place),
    "ExternalForce": Kind(kinds.nothing, "none: adds energy"),
}


def check(atoms: Atoms, ensemble: str) -> None:
    """Refuse constraints that an ensemble does not hold.

    Raises
    ------
    ValueError
        Naming the constraint, and the ensembles that hold it.
    """
    for constraint in atoms.constraints:
        name = type(constraint).__name__
        if name not in CONSTRAINTS:
            raise ValueError(
                f"molecular dynamics does not know constraints of the class {name}, and would not "
                f"hold them; known are {', '.join(CONSTRAINTS)}"
            )
        able = CONSTRAINTS[name].ensembles
        if ensemble not in able:
            raise ValueError(
                f"{ensemble} does not work with constraints of the class {name}; take one of "
                f"{', '.join(able)}, or remove them with atoms.set_constraint()"
            )


def manifold_of(atoms: Atoms) -> Manifold | None:
    """The motions that the constraints of atoms leave; None without constraints."""
    if not atoms.constraints:
        return None
    held = [
        entry
        for constraint in atoms.constraints
        for entry in CONSTRAINTS[type(constraint).__name__].holds(constraint, atoms)
    ]
    return Manifold(atoms, held)


def constrain(atoms: Atoms) -> Manifold | None:
    """Move atoms to where their constraints want them; the motions that these leave.

    Velocities that the structure has lose the part that would break the constraints.

    Raises
    ------
    ValueError
        If the atoms are far from satisfying the constraints, or these contradict each other.
    """
    before, momenta = atoms.get_positions(), atoms.get_momenta()
    try:
        held = manifold_of(atoms)
        if held is None:
            return None
        settled = held.settle(before)
    except DEGENERATE as error:
        raise ValueError(f"{atoms.get_chemical_formula()}: {error}") from error
    if held.is_singular(settled):
        raise ValueError(
            f"the constraints of {atoms.get_chemical_formula()} hold atoms in a line or plane by "
            "their distances, which does not determine the motion out of it; take "
            "FixLinearTriatomic for a linear molecule, or fewer distances"
        )
    moved = np.linalg.norm(settled - before, axis=1)
    atoms.set_positions(settled, apply_constraint=False)
    if moved.max() > _MOVED:
        first = int(moved.argmax())
        text = (
            f"the constraints are not satisfied by the structure: {atoms.symbols[first]} atom "
            f"{first} is {moved[first]:.3g} Å from where they hold it"
        )
        if moved.max() > _FAR:
            raise ValueError(f"{text}; relax the structure first, or change their targets")
        warnings.warn(f"{text}; the run starts from there", stacklevel=2)
    if atoms.has("momenta"):
        kept = held.project(settled, momenta)
        atoms.set_momenta(kept, apply_constraint=False)
        masses = atoms.get_masses()[:, None]
        energy, lost = np.sum(momenta**2 / masses), np.sum((momenta - kept) ** 2 / masses)
        if lost > _SLOWED * energy:
            warnings.warn(
                f"{lost / energy:.1%} of the kinetic energy of the structure was in motions that "
                "its constraints forbid, and is removed",
                stacklevel=2,
            )
    return held


def translations(atoms: Atoms, held: Manifold) -> np.ndarray:
    """Directions (k, 3) along which nothing hinders the motion of all atoms together."""
    return np.zeros((0, 3)) if _in_place(atoms) else held.translations()


def lets_rotate(atoms: Atoms, held: Manifold) -> bool:
    """Whether nothing hinders a rotation of all atoms together."""
    return not atoms.pbc.any() and held.lets_rotate and not _in_place(atoms)


def _in_place(atoms: Atoms) -> bool:
    return any(CONSTRAINTS[type(c).__name__].fixes_place(c) for c in atoms.constraints)


def markdown() -> str:
    """The table of constraints and ensembles for the documentation."""
    ensembles = get_args(EnsembleName)
    rows = [["constraint", "degrees of freedom removed", *(f"`{name}`" for name in ensembles)]]
    rows.append(["---"] * len(rows[0]))
    for name, kind in CONSTRAINTS.items():
        cells = ["held" if ensemble in kind.ensembles else "refused" for ensemble in ensembles]
        rows.append([f"`{name}`", kind.removes, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
