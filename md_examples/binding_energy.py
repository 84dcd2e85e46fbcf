"""Binding energy of a dimer: relaxed together and apart, with what deforming the molecules costs.

python md_examples/binding_energy.py --system Formic_acid_dimer
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import units
from ase.data.s22 import create_s22_system, get_interaction_energy_s22, s22
from ase.io import read
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ase_geomformer import evaluate_many
from ase_geomformer.recipes import RelaxManySettings, relax_many

HERE = Path(__file__).parent
parser = ArgumentParser(description=__doc__)
parser.add_argument("--system", default="Water_dimer", choices=s22, help="a dimer of the S22 set")
parser.add_argument("--structure", default=None, help="or a file of two molecules")
parser.add_argument("--potential", default="so3lr")
parser.add_argument("--fmax", type=float, default=0.005, help="largest force, eV/Å")
parser.add_argument("--output", type=Path, default=HERE / "binding_energy_output")
options = parser.parse_args()

dimer = read(options.structure) if options.structure else create_s22_system(options.system)
first, second = neighbor_list("ij", dimer, natural_cutoffs(dimer, mult=1.2))
bonds = csr_array((np.ones(len(first)), (first, second)), shape=[len(dimer)] * 2)
number, molecule_of = connected_components(bonds)
if number != 2:
    raise SystemExit(f"the structure is made of {number} molecules, not 2")
parts = [np.flatnonzero(molecule_of == molecule) for molecule in (0, 1)]

KCAL = units.kcal / units.mol
as_given = evaluate_many([dimer, *(dimer[part] for part in parts)], options.potential, ["energy"])
pair, *single = (one["energy"] for one in as_given)
print(f"interaction in the given geometry  {(pair - sum(single)) / KCAL:8.3f} kcal/mol")
if not options.structure:
    reference = get_interaction_energy_s22(options.system)
    print(f"CCSD(T) in the same geometry       {reference / KCAL:8.3f} kcal/mol")

relaxed = relax_many(
    [dimer, *(dimer[part] for part in parts)],
    options.potential,
    RelaxManySettings(fmax=options.fmax, steps=1000),
    output=options.output,
    overwrite=True,
).results
together, *apart = (one.energy for one in relaxed)
whole = relaxed[0].atoms
bent = evaluate_many([whole[part] for part in parts], options.potential, ["energy"])
deformation = sum(one["energy"] for one in bent) - sum(apart)
print(f"binding energy, all relaxed        {(together - sum(apart)) / KCAL:8.3f} kcal/mol")
print(f"  of it, deformation               {deformation / KCAL:8.3f} kcal/mol")
nearest = whole.get_all_distances()[parts[0]][:, parts[1]].min()
print(f"closest atoms of the two           {nearest:8.3f} Å")
