"""Translation between the properties of ASE and those of a potential."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from numpy.typing import NDArray
from torch import Tensor

from ase_geomformer.physics import boundaries_of
from ase_geomformer.potential import Potential

ASE_PROPERTIES = ("energy", "free_energy", "energies", "forces", "stress", "stresses")
# What a potential that predicts charges gives besides.
CHARGE_PROPERTIES = ("charges", "dipole")

# Of cells flatter than this share of a box with the same edges, the volume is rounding noise.
FLAT_CELL = 1e-10
VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


def has_volume(atoms: Atoms) -> bool:
    """Whether the cell spans a volume, so that stress is defined."""
    return bool(atoms.cell.volume > FLAT_CELL * np.prod(atoms.cell.lengths()))


def ase_properties(potential: Potential) -> tuple[str, ...]:
    """Properties of ASE that a potential provides."""
    given = set(potential.properties)
    return tuple(n for n in (*ASE_PROPERTIES, *CHARGE_PROPERTIES) if needed({n}) <= given)


def needed(properties: Collection[str]) -> set[str]:
    """Properties of the potential from which these properties of ASE follow."""
    origin = {"free_energy": "energy", "dipole": "charges"}
    return {origin.get(name, name) for name in properties}


def check_request(
    atoms: Atoms,
    potential: Potential,
    properties: Collection[str],
    known: Collection[str] | None = None,
) -> None:
    """Check that a potential can provide properties of a structure.

    Parameters
    ----------
    atoms : ase.Atoms
    potential : Potential
    properties : collection of str
        ASE's names.
    known : collection of str, optional
        Those that there are; all that the potential has, if left out.

    Raises
    ------
    PropertyNotImplementedError
        If a property is unknown, or stress is asked of a structure without a volume.
    ValueError
        If the potential does not know one of the elements, or sums over the reciprocal lattice of
        a structure without one.
    """
    known = ase_properties(potential) if known is None else known
    unknown = sorted(set(properties) - set(known))
    if unknown:
        why = "" if potential.conservative else " (its forces are not the gradient of its energy)"
        raise PropertyNotImplementedError(
            f"{', '.join(unknown)} cannot be computed; the potential provides "
            f"{', '.join(known)}{why}"
        )
    if {"stress", "stresses"} & set(properties) and not has_volume(atoms):
        raise PropertyNotImplementedError(
            f"stress needs a cell with a volume, and the cell is {atoms.cell.tolist()} Å; "
            "set one with atoms.set_cell or atoms.center(vacuum=...)"
        )
    is_flat = atoms.pbc.all() and not has_volume(atoms)
    if potential.is_reciprocal and (is_flat or not potential.suits(boundaries_of(atoms))):
        raise ValueError(
            f"the potential's Ewald sum needs a structure that is periodic in three directions, "
            f"and this one has pbc {atoms.pbc.tolist()}; omit ewald, and each structure gets "
            "the sum that its boundaries need"
        )
    potential.check_elements(np.unique(atoms.numbers))


def to_ase(
    results: Mapping[str, Tensor], members: Sequence[Atoms], properties: Collection[str]
) -> list[dict[str, Any]]:
    """Results of a batch as one dictionary of ASE properties for each structure.

    Parameters
    ----------
    results : mapping of str to Tensor
        What :class:`~ase_geomformer.potential.Potential` returned.
    members : sequence of ase.Atoms
        The structures of the batch.
    properties : collection of str
        ASE's names of the properties wanted.

    Returns
    -------
    list of dict
        ``energy`` and ``free_energy`` are floats, eV; ``energies`` (N,), eV; ``forces`` (N, 3),
        eV/Å; ``stress`` (6,) and ``stresses`` (N, 6), eV/Å^3, in the order xx, yy, zz, yz, xz, xy;
        ``charges`` (N,), e; ``dipole`` (3,), e Å, the sum of charge times position, which depends
        on the origin where the total charge is not zero and on the choice of images in a crystal.
        Arrays are float64.
    """
    arrays = to_host(results)
    for name in {"stress", "stresses"} & arrays.keys():
        arrays[name] = arrays[name][:, *VOIGT]
    if "free_energy" in properties:
        arrays["free_energy"] = arrays["energy"]
    structures, end, alone = [], 0, len(members) == 1
    for index, atoms in enumerate(members):
        own = slice(end, end + len(atoms))
        end = own.stop
        structure: dict[str, Any] = {}
        for name in properties:
            if name in ("energy", "free_energy"):
                structure[name] = float(arrays[name][index])
            elif name == "dipole":
                structure[name] = arrays["charges"][own] @ atoms.positions
            elif name == "stress":
                structure[name] = arrays[name][index].copy()
            else:
                structure[name] = arrays[name] if alone else arrays[name][own].copy()
        structures.append(structure)
    return structures


def to_host(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    """Tensors of one device as float64 arrays, which cross to the host together."""
    if all(tensor.is_cpu for tensor in tensors.values()):
        return {name: tensor.numpy().astype(np.float64) for name, tensor in tensors.items()}
    flat = torch.cat([tensor.double().reshape(-1) for tensor in tensors.values()]).cpu().numpy()
    arrays, end = {}, 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel()
        arrays[name] = flat[start:end].reshape(tensor.shape)
    return arrays
