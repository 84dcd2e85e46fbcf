"""Conformers of a molecule: found, relaxed together, sorted, and weighted by Boltzmann factors.

python md_examples/conformers.py --smiles "OCCCN" --conformers 30

Without RDKit, conformers are made by turning the molecule of --structure about its single bonds.
"""

from argparse import ArgumentParser
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read, write
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ase_geomformer.recipes import RelaxManySettings, relax_many

HERE = Path(__file__).parent
STRUCTURES = HERE.parent / "examples" / "structures"
parser = ArgumentParser(description=__doc__)
parser.add_argument("--smiles", default=None, help="the molecule; needs RDKit")
parser.add_argument("--structure", default=STRUCTURES / "aminopropanol.xyz", help="or a file of it")
parser.add_argument("--conformers", type=int, default=30, help="to start from, at most")
parser.add_argument("--potential", default="so3lr")
parser.add_argument("--fmax", type=float, default=0.01, help="largest force, eV/Å")
parser.add_argument("--temperature_K", type=float, default=298.15)
parser.add_argument("--output", type=Path, default=HERE / "conformers_output")
options = parser.parse_args()


def by_rdkit(smiles: str) -> list[Atoms]:
    """Conformers by distance geometry."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    found = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMultipleConfs(found, options.conformers, randomSeed=1)
    symbols = [atom.GetSymbol() for atom in found.GetAtoms()]
    charge = Chem.GetFormalCharge(found)
    return [
        Atoms(symbols, one.GetPositions(), info={"charge": charge}) for one in found.GetConformers()
    ]


def by_turning(molecule: Atoms) -> list[Atoms]:
    """Each bond that divides the molecule in two turned by 0, 120 and 240 degrees."""
    found = [molecule]
    for a, b, side in turning_bonds(molecule):
        for angle, atoms in product((120.0, 240.0), list(found)):
            turned = atoms.copy()
            part = turned[side]
            part.rotate(angle, atoms.positions[b] - atoms.positions[a], atoms.positions[b])
            turned.positions[side] = part.positions
            found.append(turned)
    apart = 9.0 * np.eye(len(molecule))
    free = [atoms for atoms in found if (atoms.get_all_distances() + apart).min() > 0.8]
    return free[:: max(1, len(free) // options.conformers)][: options.conformers]


def turning_bonds(molecule: Atoms) -> list[tuple[int, int, np.ndarray]]:
    """Bonds a-b about which the atoms on the side of b can turn, methyl groups left out."""
    first, second = neighbor_list("ij", molecule, natural_cutoffs(molecule, mult=1.2))
    found = []
    for a, b in zip(first, second, strict=True):
        kept = {(i, j) for i, j in zip(first, second, strict=True)} - {(a, b), (b, a)}
        ends = [[j for i, j in kept if i == end] for end in (a, b)]
        methyl = any(len(end) == 3 and (molecule.numbers[end] == 1).all() for end in ends)
        if a > b or methyl or not all(ends):
            continue
        rows, columns = zip(*kept, strict=True)
        bonds = csr_array((np.ones(len(kept)), (rows, columns)), shape=[len(molecule)] * 2)
        sides = connected_components(bonds)[1]
        if sides[a] != sides[b]:
            found.append((a, b, np.flatnonzero(sides == sides[b])))
    return found


def fingerprint(atoms: Atoms) -> np.ndarray:
    """All distances, sorted by pair of elements: the same for mirror images."""
    first, second = np.triu_indices(len(atoms), 1)
    pairs = np.sort(atoms.numbers[np.stack([first, second])], axis=0)
    distances = atoms.get_all_distances()[first, second]
    return distances[np.lexsort((distances, pairs[1], pairs[0]))]


starts = by_rdkit(options.smiles) if options.smiles else by_turning(read(options.structure))
found = relax_many(
    starts,
    options.potential,
    RelaxManySettings(fmax=options.fmax, steps=1000),
    output=options.output,
    overwrite=True,
)
minima: list[tuple[float, Atoms]] = []
for one in sorted(found.results, key=lambda one: one.energy):
    known = any(
        abs(one.energy - energy) < 2e-3
        and np.abs(fingerprint(one.atoms) - fingerprint(atoms)).max() < 0.1
        for energy, atoms in minima
    )
    if one.damage is None and not known:
        minima.append((one.energy, one.atoms))

energies = np.array([energy for energy, _ in minima]) - minima[0][0]
weights = np.exp(-energies / (units.kB * options.temperature_K))
weights /= weights.sum()
write(options.output / "conformers.extxyz", [atoms for _, atoms in minima])
print(f"{len(minima)} conformers of {len(starts)} starts")
for number, (energy, weight) in enumerate(zip(energies, weights, strict=True), start=1):
    relative = energy / (units.kcal / units.mol)
    print(f"conformer {number:3d}  {relative:7.3f} kcal/mol  {100 * weight:6.2f} %")
print(f"watch them: ase gui {options.output / 'conformers.extxyz'}")
