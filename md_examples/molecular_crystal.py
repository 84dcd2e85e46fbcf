"""Cell and lattice energy of a molecular crystal: urea, or a structure of your own.

python md_examples/molecular_crystal.py --structure crystal.cif
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from ase_geomformer.recipes import RelaxSettings, relax

HERE = Path(__file__).parent
STRUCTURES = HERE.parent / "examples" / "structures"
parser = ArgumentParser(description=__doc__)
parser.add_argument("--structure", default=STRUCTURES / "urea.cif", help="the crystal")
parser.add_argument("--potential", default="so3lr")
parser.add_argument("--fmax", type=float, default=0.005, help="largest force, eV/Å")
parser.add_argument("--smax", type=float, default=0.01, help="largest stress, GPa")
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--output", type=Path, default=HERE / "molecular_crystal_output")
options = parser.parse_args()

start = read(options.structure)
start = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True)
found = relax(
    start,
    options.potential,
    RelaxSettings(
        cell="full",
        fmax=options.fmax,
        smax_GPa=options.smax,
        steps=options.steps,
        keep_symmetry=True,
    ),
    output=options.output / "crystal",
    overwrite=True,
)
print("cell (Å, degrees)    at start   relaxed  change")
for name, old, new in zip(
    ("a", "b", "c", "alpha", "beta", "gamma"),
    start.cell.cellpar(),
    found.atoms.cell.cellpar(),
    strict=True,
):
    print(f"{name:>17s}  {old:10.4f} {new:9.4f} {100 * (new / old - 1):6.2f} %")
change = 100 * (found.atoms.get_volume() / start.get_volume() - 1)
print(f"volume {found.atoms.get_volume():.2f} Å^3, {change:+.2f} %; {found.space_group_after}")

# A molecule of the crystal, whole and alone: bonds lead from atom to atom, also to images.
solid = found.atoms
first, second, vectors = neighbor_list("ijD", solid, natural_cutoffs(solid, mult=1.2))
bonds = csr_array((np.ones(len(first)), (first, second)), shape=[len(solid)] * 2)
number = connected_components(bonds)[0]
order, before = breadth_first_order(bonds, 0)
place = {0: solid.positions[0]}
for atom in order[1:]:
    step = vectors[(first == before[atom]) & (second == atom)][0]
    place[int(atom)] = place[int(before[atom])] + step
alone = Atoms(solid.symbols[list(place)], list(place.values()))
single = relax(
    alone,
    options.potential,
    RelaxSettings(fmax=options.fmax, steps=options.steps),
    output=options.output / "molecule",
    overwrite=True,
)
lattice = found.energy / number - single.energy
print(f"{number} molecules of {alone.get_chemical_formula()} in the cell")
print(f"lattice energy {lattice / (units.kJ / units.mol):.1f} kJ/mol per molecule")
