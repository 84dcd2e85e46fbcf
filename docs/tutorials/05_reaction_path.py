"""
A reaction path
===============

The barrier of the rotation of ethanol's hydroxyl group by a nudged elastic band.
"""

# %%
# Two minima of the same atoms in the same order: the trans form, and the gauche form made by
# turning the hydroxyl group.
from ase.build import molecule

from ase_geomformer.recipes import NEBSettings, neb

trans = molecule("CH3CH2OH")
gauche = trans.copy()
carbon, far, oxygen, hydrogen = 0, 1, 2, 3
gauche.set_dihedral(carbon, far, oxygen, hydrogen, 60.0, indices=[hydrogen])

# %%
# The recipe relaxes both ends, all images of the path, and the saddle point, and verifies that it
# has one imaginary mode.
settings = NEBSettings(images=5, fmax=0.03)
result = neb([trans, gauche], "so3krates-rmd17-ethanol", settings, progress=False)
result

# %%
from ase_geomformer.recipes.path.figure import plot

plot(result)
