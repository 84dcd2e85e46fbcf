"""Structures that are unlike the training data of shipped potentials."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.spacegroup import crystal

from ase_geomformer.data.frames import Frame
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
METALS = ("Mo", "Nb", "Ta", "W")
NUMBER = 20
# Test frames on which errors are ten times those on the others, by an entry of their info: they
# are unlike the training data, and neither calibrate nor count as known.
APART = {
    "est-monbtaw": ("group", "Multinary_Test", "alloys of four metals"),
    "est-silica": ("topology", "ewo", "EWO"),
}


def is_apart(name: str, frame: Frame) -> bool:
    """Whether a test frame of a potential is unlike its training data."""
    if name not in APART:
        return False
    entry, value, _ = APART[name]
    return str(frame.atoms.info[entry]) == value


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
    if element:
        return {**common, **phases([element], *LATTICES[element])}
    if name.endswith("-monbtaw"):
        return {**common, **phases(METALS, "bcc", 3.24)}
    if name.endswith("-silica"):
        return {**common, **silica(known[:NUMBER])}
    return common


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


def phases(elements: Sequence[str], structure: str, constant: float) -> dict[str, list[Atoms]]:
    """Phases of a metal, a random alloy or silicon that are not in the data; other densities."""
    first = elements[0]
    volume = bulk(first, structure, a=constant).get_volume() / len(bulk(first, structure, a=1))
    found = {}
    for phase, per_cell in {"sc": 1, "bcc": 2, "fcc": 4, "diamond": 8}.items():
        if phase != structure:
            atoms = bulk(first, phase, a=(volume * per_cell) ** (1 / 3), cubic=phase != "sc")
            found[f"{phase} at the same volume"] = mixed(atoms * 2, elements)
    for factor in (0.8, 1.2, 1.4):
        atoms = bulk(first, structure, a=constant * factor, cubic=True)
        found[f"lattice constant times {factor}"] = mixed(atoms * 2, elements)
    pairs = combinations_with_replacement(elements, 2)
    found["isolated atom"] = [Atoms(element) for element in elements]
    found["dimer"] = [Atoms(pair, positions=[(0, 0, 0), (0, 0, 2.4)]) for pair in pairs]
    return found


def mixed(atoms: Atoms, elements: Sequence[str]) -> list[Atoms]:
    """Ten rattled crystals with as many atoms of each element, at random."""
    found = []
    for seed in range(10):
        one = rattled(atoms, seed)
        symbols = np.resize(list(elements), len(one))
        one.symbols = np.random.default_rng(seed).permutation(symbols)
        found.append(one)
    return found


def silica(known: list[Atoms]) -> dict[str, list[Atoms]]:
    """Stishovite, with silicon among six oxygen atoms; other densities; pieces."""
    stishovite = crystal(
        ["Si", "O"], [(0, 0, 0), (0.306, 0.306, 0)], spacegroup=136,
        cellpar=[4.18, 4.18, 2.667, 90, 90, 90],
    ) * 2  # fmt: skip
    found = {"stishovite": [rattled(stishovite, seed) for seed in range(10)]}
    for factor in (0.8, 1.2, 1.4):
        found[f"lattice constant times {factor}"] = [scaled(atoms, factor) for atoms in known]
    found["isolated atom"] = [Atoms("Si"), Atoms("O")]
    found["oxygen molecule"] = [molecule("O2")]
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
