"""The non-analytical term of polar crystals, which splits longitudinal from transverse modes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.machine.files import expanded
from ase_geomformer.recipes.lattice.cells import to_ase
from ase_geomformer.recipes.lattice.settings import LatticeSettings

if TYPE_CHECKING:
    from phonopy.harmonic.dynamical_matrix import NacParams
    from phonopy.structure.cells import Primitive

# A sum of charges beyond this, in e by atom, is no rounding of what a calculation has printed.
_NEUTRAL = 0.05


@dataclass(frozen=True, eq=False)
class BornCharges:
    """Born effective charges and the dielectric tensor of clamped ions.

    Attributes
    ----------
    charges_e : array (atoms, 3, 3)
        Of the atoms of the primitive cell, in its order; the first index is of the polarisation,
        the second of the displacement.
    dielectric : array (3, 3)

    Raises
    ------
    ValueError
        If the shapes are others or the charges do not add up to zero.
    """

    charges_e: np.ndarray
    dielectric: np.ndarray

    def __post_init__(self) -> None:
        charges = np.array(self.charges_e, dtype=float)
        dielectric = np.array(self.dielectric, dtype=float)
        if charges.ndim != 3 or charges.shape[1:] != (3, 3):
            raise ValueError(
                f"Born charges are an array (atoms, 3, 3), not one of shape {charges.shape}"
            )
        if dielectric.shape != (3, 3) or not (np.linalg.eigvals(dielectric).real > 0).all():
            raise ValueError("the dielectric tensor must be 3 by 3 and positive")
        excess = np.abs(charges.mean(axis=0)).max()
        if excess > _NEUTRAL:
            raise ValueError(
                f"Born charges must add up to zero over the primitive cell, and these leave "
                f"{excess:.3f} e per atom"
            )
        # The small rest is shared out, or the acoustic modes would feel a field.
        object.__setattr__(self, "charges_e", charges - charges.mean(axis=0))
        object.__setattr__(self, "dielectric", dielectric)


def parameters(
    primitive: Primitive,
    evaluator: Evaluator,
    settings: LatticeSettings,
    given: BornCharges | None = None,
) -> NacParams | None:
    """What phonopy takes for the charges given, or for those that settings ask for, if any.

    Raises
    ------
    ValueError
        If the potential predicts no charges, or there are Born charges of another crystal.
    FileNotFoundError
        If there is no file of Born charges.
    """
    born = given
    if born is None and settings.nac == "born" and settings.born_file is not None:
        born = read_born(settings.born_file, primitive, settings.symprec_A)
    elif born is None and settings.nac == "charges":
        born = of_potential(evaluator, primitive, settings.dielectric)
    return None if born is None else nac_parameters(born, primitive, settings.symprec_A)


def read_born(path: str | os.PathLike[str], primitive: Primitive, symprec: float) -> BornCharges:
    """Born charges from a file in phonopy's format BORN, which lists independent atoms only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or does not fit the crystal.
    """
    from phonopy.file_IO import parse_BORN

    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of Born charges {str(path)!r}")
    try:
        found = parse_BORN(primitive, symprec=symprec, filename=str(path))
        return BornCharges(found["born"], found["dielectric"])
    except Exception as error:  # phonopy's parser has no errors of its own
        raise ValueError(
            f"{str(path)!r} cannot be read as Born charges of {len(primitive)} atoms: {error}"
        ) from error


def from_charges(charges_e: np.ndarray, dielectric: float) -> BornCharges:
    """Born charges of rigid ions: the potential's charges, with a dielectric constant.

    A potential with fixed charges and a Coulomb energy in vacuum has the dielectric constant 1;
    that charges change as atoms move is left out.

    Parameters
    ----------
    charges_e : array (atoms,)
        Of the atoms of the primitive cell.
    dielectric : float
    """
    charges = np.asarray(charges_e)[:, None, None] * np.eye(3)
    return BornCharges(charges, dielectric * np.eye(3))


def nac_parameters(born: BornCharges, primitive: Primitive, symprec: float) -> NacParams:
    """What phonopy takes, with the crystal's symmetry.

    Raises
    ------
    ValueError
        If there are charges for another number of atoms.
    """
    from ase import units
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    if len(born.charges_e) != len(primitive):
        raise ValueError(
            f"there are Born charges for {len(born.charges_e)} atoms, and the primitive cell has "
            f"{len(primitive)}"
        )
    charges, dielectric = symmetrize_borns_and_epsilon(
        born.charges_e, born.dielectric, primitive, symprec=symprec
    )
    # e^2 / (4 pi epsilon_0) in eV Å.
    return {"born": charges, "dielectric": dielectric, "factor": units.Hartree * units.Bohr}


def of_potential(evaluator: Evaluator, primitive: Primitive, dielectric: float) -> BornCharges:
    """Born charges as :func:`from_charges` makes them of the charges that a potential predicts.

    Raises
    ------
    ValueError
        If it predicts none.
    """
    from ase.calculators.calculator import PropertyNotImplementedError

    try:
        (found,) = evaluator([to_ase(primitive)], ("charges",))
    except PropertyNotImplementedError as error:
        raise ValueError(
            "nac = 'charges' needs a potential that predicts charges, and this one does not; give "
            "Born charges in a file (nac = 'born', born_file) or choose nac = 'none'"
        ) from error
    return from_charges(found["charges"], dielectric)
