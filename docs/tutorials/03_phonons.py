"""
Phonons of a crystal
====================

Bands, densities of states and heat capacity of silicon, by displaced supercells in batches.
"""

# %%
# One call relaxes the crystal, chooses displacements by symmetry, evaluates them and draws bands
# along the path of the crystal's symmetry. ``phonopy.yaml`` in its folder is what phonopy reads.
from ase.build import bulk

from ase_geomformer.recipes import PhononSettings, phonons

settings = PhononSettings(supercell_length_A=12.0, mesh_length_A=40.0)
result = phonons(bulk("Si"), "so3krates-mlearn-si", settings, progress=False)
result

# %%
# Frequencies at named points of the Brillouin zone, in THz:
for point in ("Γ", "X", "L"):
    print(point, result.bands.at(point).round(2))

# %%
from ase_geomformer.recipes.lattice.phonons.figure import draw_bands

draw_bands(result)
