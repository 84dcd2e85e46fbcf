"""Structures that are unlike the training data of shipped potentials."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule

from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings

RMD17 = "../shared/data/rmd17/rmd17_{}.npz"
MOLECULES = (
    "aspirin", "azobenzene", "benzene", "ethanol", "malonaldehyde", "naphthalene", "paracetamol",
    "salicylic", "toluene", "uracil",
)  # fmt: skip
LATTICES = {
    "Si": ("diamond", 5.43), "Ge": ("diamond", 5.77), "Cu": ("fcc", 3.61), "Ni": ("fcc", 3.52),
    "Mo": ("bcc", 3.15),
}  # fmt: skip
NUMBER = 20


def cases(name: str, known: list[Atoms]) -> dict[str, list[Atoms]]:
    """Structures by what they are; ``known`` are some of the potential's test data."""
    common = {
        "known structures in bohr": [scaled(atoms, 1.0 / units.Bohr) for atoms in known],
        "two atoms 0.3 Å apart": [close(atoms) for atoms in known],
    }
    if "rmd17" in name:
        common["known structures in nm"] = [scaled(atoms, 0.1) for atoms in known]
        return {**common, **molecules(name)}
    _, is_mlearn, last = name.partition("mlearn-")
    element = last.capitalize() if is_mlearn else ""
    crystals = known if not element else [thermal(element, seed) for seed in range(NUMBER)]
    common["forgotten pbc"] = [without_pbc(atoms) for atoms in crystals]
    return {**common, **(phases(element) if element else {})}


def molecules(name: str) -> dict[str, list[Atoms]]:
    """Other molecules of rMD17 of the same elements; water; isolated atoms."""
    own = name.partition("rmd17")[2].lstrip("-") or None
    elements = {"H", "C", "O"} if own else {"H", "C", "N", "O"}
    found = {}
    for kind in MOLECULES:
        settings = DataSettings(
            RMD17.format(kind), positions_key="R_test", energy_key="E_test", forces_key="F_test",
            energy_unit="kcal/mol", select={"split_test": 1},
        )  # fmt: skip
        if own in (None, kind):
            continue
        frames = [frame.atoms for frame in read_frames(settings)[:NUMBER]]
        if set(frames[0].symbols) <= elements:
            found[kind] = frames
    found["water, 8 molecules in a box"] = [water_box(seed) for seed in range(NUMBER)]
    found["methane, methanol, ethyne, ethene, acetic acid"] = [
        molecule(one) for one in ("CH4", "CH3OH", "C2H2", "C2H4", "CH3COOH")
    ]
    return found


def phases(element: str) -> dict[str, list[Atoms]]:
    """Phases of a metal or silicon that are not in the data, and extremes of density."""
    structure, constant = LATTICES[element]
    volume = bulk(element, structure, a=constant).get_volume() / len(bulk(element, structure, a=1))
    found = {}
    for phase, per_cell in {"sc": 1, "bcc": 2, "fcc": 4, "diamond": 8}.items():
        if phase != structure:
            atoms = bulk(element, phase, a=(volume * per_cell) ** (1 / 3), cubic=phase != "sc")
            found[f"{phase} at the same volume"] = [rattled(atoms * 2, s) for s in range(10)]
    for factor in (0.8, 1.2, 1.4):
        atoms = bulk(element, structure, a=constant * factor, cubic=True)
        found[f"lattice constant times {factor}"] = [rattled(atoms * 2, s) for s in range(10)]
    found["isolated atom"] = [Atoms(element)]
    found["dimer"] = [Atoms(f"{element}2", positions=[(0, 0, 0), (0, 0, 2.4)])]
    return found


def thermal(element: str, seed: int) -> Atoms:
    structure, constant = LATTICES[element]
    return rattled(bulk(element, structure, a=constant, cubic=True), seed)


def rattled(atoms: Atoms, seed: int, size: float = 0.05) -> Atoms:
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).normal(scale=size, size=(len(atoms), 3))
    return moved


def scaled(atoms: Atoms, factor: float) -> Atoms:
    other = atoms.copy()
    other.set_cell(other.cell.array * factor)
    other.positions = atoms.positions * factor
    return other


def close(atoms: Atoms) -> Atoms:
    other = atoms.copy()
    way = other.positions[1] - other.positions[0]
    other.positions[1] = other.positions[0] + 0.3 * way / np.linalg.norm(way)
    return other


def without_pbc(atoms: Atoms) -> Atoms:
    other = atoms.copy()
    other.pbc = False
    return other


def water_box(seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    box = Atoms(cell=np.full(3, 6.21), pbc=True)
    for corner in np.ndindex(2, 2, 2):
        water = molecule("H2O")
        water.rotate(random.uniform(0, 360), random.normal(size=3), center="COM")
        water.translate((np.array(corner) + 0.5) * 3.105 - water.get_center_of_mass())
        box += water
    return box
