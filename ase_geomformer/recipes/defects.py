"""Energies of vacancies, surfaces and cohesion, by relaxations."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms, units

from ase_geomformer.recipes import isolated
from ase_geomformer.recipes.base import PotentialLike, recipe_evaluator
from ase_geomformer.recipes.crystals import check_crystal
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.run import relax
from ase_geomformer.recipes.relaxation.settings import RelaxSettings

# One eV/Å^2 in J/m^2.
_J_PER_M2 = units.m**2 / units.J


@dataclass(frozen=True, eq=False)
class EnergyDifference:
    """An energy from several relaxations.

    Attributes
    ----------
    value : float
        In ``unit``.
    unit : str
    converged : bool
        Whether all relaxations did.
    reason : str
        What went wrong with those that did not.
    relaxations : dict of str to RelaxResult
        By what was relaxed.
    """

    value: float
    unit: str
    converged: bool
    reason: str
    relaxations: dict[str, RelaxResult] = field(repr=False)


def vacancy_formation_energy(
    atoms: Atoms,
    potential: PotentialLike,
    index: int = 0,
    settings: RelaxSettings | None = None,
) -> EnergyDifference:
    """Energy in eV to take an atom out of an elemental crystal and put it back into the bulk.

    E(N - 1) - (N - 1)/N E(N), at constant volume, both relaxed.

    Parameters
    ----------
    atoms : ase.Atoms
        Supercell of the crystal, large enough that a vacancy does not feel its images, at the
        volume wanted.
    potential : str, path, Potential, ASE calculator or Evaluator
    index : int
        Of the atom that is taken out.
    settings : RelaxSettings, optional
        ``cell`` must be "none".

    Raises
    ------
    ValueError
        If the crystal has several elements or a single atom, or the cell is to change.
    """
    check_crystal(atoms, "a vacancy")
    if len(set(atoms.numbers)) > 1:
        raise ValueError(
            f"{atoms.symbols} has several elements; the energy of a vacancy needs the chemical "
            "potential of what is taken out, so combine relaxations yourself"
        )
    if len(atoms) < 2:
        raise ValueError("the crystal has one atom; give a supercell")
    settings = _fixed_cell(settings)
    evaluator = recipe_evaluator(potential)
    defect = atoms.copy()
    del defect[index]
    bulk = relax(atoms, evaluator, settings, progress=False)
    vacancy = relax(defect, evaluator, settings, progress=False)
    value = vacancy.energy - (len(atoms) - 1) / len(atoms) * bulk.energy
    return _difference(value, "eV", {"bulk": bulk, "vacancy": vacancy})


def surface_energy(
    slab: Atoms,
    bulk: Atoms,
    potential: PotentialLike,
    settings: RelaxSettings | None = None,
) -> EnergyDifference:
    """Energy in J/m^2 of the two equal surfaces of a slab, relaxed.

    (E(slab) - n E(bulk)) / (2 A), with as many bulk cells n as make up the slab.

    Parameters
    ----------
    slab : ase.Atoms
        With vacuum along its third cell vector and the bulk's lattice in the plane.
    bulk : ase.Atoms
        Relaxed cell of the crystal.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : RelaxSettings, optional
        ``cell`` must be "none".

    Raises
    ------
    ValueError
        If the slab is not made of whole bulk cells, or the cell is to change.
    """
    check_crystal(bulk, "the bulk")
    number = len(slab) / len(bulk)
    counts = {name: part.symbols.formula.count() for name, part in (("slab", slab), ("bulk", bulk))}
    if counts["slab"] != {symbol: number * n for symbol, n in counts["bulk"].items()}:
        raise ValueError(
            f"the slab {slab.symbols} is not made of whole units of the bulk {bulk.symbols}, so "
            "that its energy depends on a chemical potential; give a stoichiometric slab"
        )
    settings = _fixed_cell(settings)
    evaluator = recipe_evaluator(potential)
    area = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    relaxed_slab = relax(slab, evaluator, settings, progress=False)
    relaxed_bulk = relax(bulk, evaluator, settings, progress=False)
    value = (relaxed_slab.energy - number * relaxed_bulk.energy) / (2.0 * area) * _J_PER_M2
    return _difference(value, "J/m^2", {"slab": relaxed_slab, "bulk": relaxed_bulk})


def cohesive_energy(
    atoms: Atoms,
    potential: PotentialLike,
    settings: RelaxSettings | None = None,
    atom_energies: Mapping[str, float] | None = None,
) -> EnergyDifference:
    """Energy in eV per atom that it takes to pull a crystal or molecule apart into atoms.

    Parameters
    ----------
    atoms : ase.Atoms
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : RelaxSettings, optional
        How the structure is relaxed; with its cell where it has one when left out.
    atom_energies : mapping, optional
        Energy in eV of an isolated atom of each element, at the level of theory of the potential.
        When left out they are the calculator's own; a trained potential extrapolates to them, and
        a warning and the result's ``reason`` say so.
    """
    evaluator = recipe_evaluator(potential)
    periodic = atoms.pbc.all() and atoms.cell.rank == 3
    settings = settings or RelaxSettings(cell="full" if periodic else "none")
    found = relax(atoms, evaluator, settings, progress=False)
    counts: dict[str, int] = atoms.symbols.formula.count()
    remark = ""
    if atom_energies is None:
        remark = isolated.extrapolated(evaluator)
        atom_energies = isolated.atom_energies(evaluator, counts)
    missing = sorted(set(counts) - set(atom_energies))
    if missing:
        raise ValueError(f"atom_energies has none for {', '.join(missing)}; give all elements")
    apart = sum(number * atom_energies[symbol] for symbol, number in counts.items())
    difference = _difference((apart - found.energy) / len(atoms), "eV/atom", {"structure": found})
    if not remark:
        return difference
    warnings.warn(remark, stacklevel=2)
    return replace(difference, reason=f"{difference.reason}; {remark}")


def _fixed_cell(settings: RelaxSettings | None) -> RelaxSettings:
    if settings is not None and settings.cell != "none":
        raise ValueError(
            f"cell = {settings.cell!r} must be 'none': energies are compared at one lattice"
        )
    return settings or RelaxSettings()


def _difference(value: float, unit: str, relaxations: dict[str, RelaxResult]) -> EnergyDifference:
    missed = {
        name: found.reason
        for name, found in relaxations.items()
        if not found.converged or found.damage is not None
    }
    reason = "; ".join(f"{name}: {text}" for name, text in missed.items())
    return EnergyDifference(value, unit, not missed, reason or "all relaxed", relaxations)
