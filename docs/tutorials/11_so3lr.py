"""
SO3LR for a drug-like molecule
==============================

A general potential for organic molecules, with electrostatics and dispersion: paracetamol.
"""

# %%
# SO3LR is published by others and not shipped. ``ase-geomformer models get so3lr`` gets it once, 3
# MB. Where it has not been got, what follows is left out.
from ase_geomformer.registry import find_potential

try:
    find_potential("so3lr")
    there = True
except FileNotFoundError as missing:
    there = False
    print(missing)

# %%
# Relax the molecule, whose structure lies in ``examples`` of a checkout.
from pathlib import Path

from ase.io import read

from ase_geomformer.recipes import RelaxSettings, relax, vibrations

examples = next(p for p in (Path("examples"), Path("../../examples")) if p.is_dir())
paracetamol = read(examples / "structures" / "paracetamol.xyz")
result = relax(paracetamol, "so3lr", RelaxSettings(fmax=1e-3), progress=False) if there else None
result

# %%
# SO3LR predicts charges, so that there is a dipole moment: about 1 e Å for a polar molecule.
if there:
    from ase_geomformer import PotentialCalculator

    molecule = result.atoms.copy()
    molecule.calc = PotentialCalculator("so3lr")
    print(molecule.get_dipole_moment().round(3), "e Å")

# %%
# Its vibrations, with infrared intensities and thermochemistry.
modes = vibrations(result.atoms, "so3lr", progress=False) if there else None
modes

# %%
# What SO3LR is good for, and what not, is measured on the page of its name.
