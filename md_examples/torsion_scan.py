"""Energy against a dihedral angle, all else relaxed: butane, or a molecule of your own.

python md_examples/torsion_scan.py --structure molecule.xyz --dihedral 0 1 2 3
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import units
from ase.build import molecule
from ase.constraints import FixInternals
from ase.io import read, write
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ase_geomformer.recipes import RelaxManySettings, relax_many
from ase_geomformer.runs.style import new_figure

HERE = Path(__file__).parent
parser = ArgumentParser(description=__doc__)
parser.add_argument("--structure", default=None, help="butane if left out")
parser.add_argument("--dihedral", type=int, nargs=4, default=None, help="four atoms in a row")
parser.add_argument("--step", type=float, default=15.0, help="degrees")
parser.add_argument("--potential", default="so3lr")
parser.add_argument("--fmax", type=float, default=0.02, help="largest force, eV/Å")
parser.add_argument("--output", type=Path, default=HERE / "torsion_scan_output")
options = parser.parse_args()

start = read(options.structure) if options.structure else molecule("trans-butane")
a, b, c, d = options.dihedral or (0, 1, 2, 3)  # the carbon atoms of butane
# What turns: all that hangs on the far end of the middle bond.
first, second = neighbor_list("ij", start, natural_cutoffs(start, mult=1.2))
kept = ~(np.isin(first, (b, c)) & np.isin(second, (b, c)))
ends = (first[kept], second[kept])
bonds = csr_array((np.ones(kept.sum()), ends), shape=[len(start)] * 2)
sides = connected_components(bonds)[1]
if sides[b] == sides[c]:
    raise SystemExit(f"atoms {b} and {c} are in a ring, about which nothing can turn")
turning = np.flatnonzero(sides == sides[c])

angles = np.arange(0.0, 180.0 + 1e-9, options.step)
images = []
for angle in angles:
    image = start.copy()
    image.set_dihedral(a, b, c, d, angle, indices=turning)
    # Held to 1e-7 rad while all else relaxes.
    held = FixInternals(dihedrals_deg=[[angle, [a, b, c, d]]], epsilon=1e-7)
    image.set_constraint(held)
    images.append(image)
found = relax_many(
    images,
    options.potential,
    RelaxManySettings(fmax=options.fmax, steps=500),
    output=options.output,
    overwrite=True,
)
energies = np.array([one.energy for one in found.results])
energies = (energies - energies.min()) / (units.kcal / units.mol)
for angle, energy, one in zip(angles, energies, found.results, strict=True):
    reached = one.atoms.get_dihedral(a, b, c, d)
    print(f"{angle:6.1f} degrees  {energy:7.3f} kcal/mol  (at {reached:.3f})")
write(options.output / "scan.traj", [one.atoms for one in found.results])

figure = new_figure(5.0, 3.5)
axes = figure.subplots()
axes.plot(angles, energies, "o-")
axes.set(xlabel="dihedral angle (degrees)", ylabel="energy (kcal/mol)")
axes.set_xticks(np.arange(0, 181, 30))
figure.savefig(options.output / "torsion.png", dpi=160)
print(f"look at {options.output / 'torsion.png'}")
