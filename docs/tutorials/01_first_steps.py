"""
First steps
===========

Energy, forces and a relaxation of a molecule with a shipped potential.
"""

# %%
# A potential is named, and gives a calculator like any other of ASE.
from ase.build import molecule

from ase_geomformer import PotentialCalculator, list_potentials

ethanol = molecule("CH3CH2OH")
ethanol.calc = PotentialCalculator("so3krates-rmd17-ethanol")
print(f"{ethanol.get_potential_energy():.3f} eV")
print(ethanol.get_forces().round(2))

# %%
# These potentials are shipped. Their cards tell what each is for.
for name in sorted(list_potentials()):
    print(name)

# %%
# ASE's optimizers work with it. The recipe ``relax`` does the same with a folder of results, damage
# checks and a figure, and takes the potential by its name.
from ase_geomformer.recipes import RelaxSettings, relax

result = relax(ethanol, "so3krates-rmd17-ethanol", RelaxSettings(fmax=1e-3), progress=False)
result

# %%
# The energy is relative to nothing in particular: compare structures of the same atoms only. Here
# the O-H bond before and after:
print(f"{ethanol.get_distance(2, 3):.3f} Å, {result.atoms.get_distance(2, 3):.3f} Å")
