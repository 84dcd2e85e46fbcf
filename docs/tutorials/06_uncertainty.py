"""
Committees and uncertainty
==========================

Where several potentials of the same system disagree, none of them can be trusted.
"""

# %%
# Three potentials of ethanol, of three architectures, make a committee. Its results are the means,
# and the spread tells how far they differ.
from ase.build import molecule

from ase_geomformer.committee import CommitteeCalculator

names = ["so3krates-rmd17-ethanol", "est-rmd17-ethanol", "geomformer-rmd17-ethanol"]
ethanol = molecule("CH3CH2OH")
ethanol.calc = CommitteeCalculator(names)
print(f"{ethanol.get_potential_energy():.3f} eV")

# %%
# Stretch the C-O bond far beyond what the training data hold, and the committee disagrees.
import numpy as np
from matplotlib.figure import Figure

lengths = np.linspace(1.2, 2.6, 15)
spreads = []
for length in lengths:
    stretched = ethanol.copy()
    stretched.set_distance(1, 2, length, fix=0, indices=[2, 3])
    stretched.calc = ethanol.calc
    stretched.get_forces()
    spreads.append(float(stretched.calc.results["forces_spread"].max()))

figure = Figure(figsize=(5.0, 3.2), layout="constrained")
axes = figure.subplots()
axes.plot(lengths, spreads, marker="o")
axes.set_xlabel("C-O distance (Å)")
axes.set_ylabel("largest spread of forces (eV/Å)")
axes.set_yscale("log")
figure
