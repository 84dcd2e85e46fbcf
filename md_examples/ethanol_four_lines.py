"""Plain ASE with a potential of ase-geomformer: attach the calculator, and all of ASE works.

python md_examples/ethanol_four_lines.py
"""

from ase.build import molecule
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from ase_geomformer import PotentialCalculator

atoms = molecule("CH3CH2OH")
atoms.calc = PotentialCalculator("so3krates-rmd17-ethanol")
print(f"energy {atoms.get_potential_energy():.3f} eV")
VelocityVerlet(atoms, timestep=0.5 * fs, logfile="-", loginterval=10).run(100)
