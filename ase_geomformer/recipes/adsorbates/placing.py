"""Putting an adsorbate on a site."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.constraints import FixAtoms
from ase.data import atomic_numbers, covalent_radii

from ase_geomformer.recipes.adsorbates.settings import AdsorptionSettings
from ase_geomformer.recipes.adsorbates.sites import frame_of
from ase_geomformer.runs.structures import as_structure

# Å; less empty space above a slab than this is none.
_VACUUM_A = 6.0


def as_adsorbate(source: Atoms | str | os.PathLike[str]) -> Atoms:
    """An adsorbate by its file, as a molecule that ASE knows, or as an element.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(source, Atoms) or Path(source).exists():
        return as_structure(source)
    name = str(source)
    if name in atomic_numbers:
        return Atoms(name)
    if name in g2.names:
        return molecule(name)
    raise ValueError(
        f"the adsorbate {name!r} is no file, element or molecule that ASE knows, such as O, CO, "
        "H2O or CH3OH"
    )


def check_slab(slab: Atoms) -> None:
    """Refuse what is no slab.

    Raises
    ------
    ValueError
        If it is not periodic along its first two cell vectors, or has no empty space above it.
    """
    if not len(slab) or not slab.pbc[:2].all() or np.linalg.matrix_rank(slab.cell.array[:2]) < 2:
        raise ValueError(
            "adsorption needs a slab, periodic along its first two cell vectors; "
            f"{slab.symbols} has pbc = {slab.pbc.tolist()}: make one with surface, or with "
            "ase.build.surface"
        )
    if slab.pbc[2] and slab.cell.rank == 3:
        normal = frame_of(slab)[2]
        empty = abs(float(slab.cell[2] @ normal)) - float(np.ptp(slab.positions @ normal))
        if empty < _VACUUM_A:
            raise ValueError(
                f"{slab.symbols} has {empty:.1f} Å of empty space along its normal, and "
                f"{_VACUUM_A:g} at least are needed: center it with vacuum along the third vector"
            )


def prepared(slab: Atoms, settings: AdsorptionSettings) -> Atoms:
    """The slab, repeated for the distance of images, with its lower part held."""
    across = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    heights = across / np.linalg.norm(slab.cell.array[[1, 0]], axis=1)
    repeats = np.maximum(np.ceil(settings.min_length_A / heights - 1e-6), 1).astype(int)
    large = slab * (*repeats, 1)
    large.calc = None
    large.info.pop("adsorbate_info", None)  # of ASE's builders, which no file keeps
    if not large.constraints:
        depths = large.positions @ frame_of(large)[2]
        limit = depths.min() + settings.fixed_share * np.ptp(depths)
        held = np.flatnonzero(depths < limit - 1e-6)
        if settings.fixed_share == 1:
            held = np.arange(len(large))
        if len(held):
            large.set_constraint(FixAtoms(held))
    return large


def placed(slab: Atoms, adsorbate: Atoms, point: np.ndarray, settings: AdsorptionSettings) -> Atoms:
    """The slab with an adsorbate above a point (3,) of its surface; the last atoms are its."""
    frame = frame_of(slab)
    relative = _oriented(adsorbate, settings)
    flat = point @ frame[:2].T
    guest = np.column_stack([flat + relative[:, :2], relative[:, 2]])
    guest[:, 2] += _height(slab, adsorbate, guest, frame, settings)
    both = slab.copy()
    added = Atoms(adsorbate.numbers, positions=guest @ frame)
    both.extend(added)
    return both


def _oriented(adsorbate: Atoms, settings: AdsorptionSettings) -> np.ndarray:
    """Positions (n, 3) relative to the binding atom, z along the normal."""
    relative = adsorbate.positions - adsorbate.positions[settings.binding_atom]
    up = relative.sum(axis=0)
    if settings.orientation == "as-given" or np.linalg.norm(up) < 1e-3:
        return relative
    turned = Atoms(adsorbate.numbers, positions=relative)
    turned.rotate(up, (0.0, 0.0, 1.0))
    return np.asarray(turned.positions)


def _height(
    slab: Atoms,
    adsorbate: Atoms,
    guest: np.ndarray,
    frame: np.ndarray,
    settings: AdsorptionSettings,
) -> float:
    """Height of the binding atom at which none of the guest's is nearer than covalent radii."""
    places = slab.positions @ frame.T
    if settings.height_A is not None:
        return float(places[:, 2].max()) + settings.height_A
    cell = slab.cell.array[:2] @ frame[:2].T
    heights = []
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 2), axis=-1).reshape(-1, 2) @ cell
    for number, position in zip(adsorbate.numbers, guest, strict=True):
        away = position[:2] - (places[None, :, :2] + steps[:, None])
        touching = covalent_radii[number] + covalent_radii[slab.numbers]
        room = touching**2 - (away**2).sum(axis=-1)
        lifted = places[None, :, 2] + np.sqrt(np.maximum(room, 0.0)) - position[2]
        heights.append(np.where(room > 0, lifted, -np.inf).max())
    found = float(np.max(heights))
    return found if np.isfinite(found) else float(places[:, 2].max())
