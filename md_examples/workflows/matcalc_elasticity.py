"""Elastic constants of silicon by matcalc, which takes any ASE calculator.

python md_examples/workflows/matcalc_elasticity.py          (needs matcalc)
"""

from ase import units
from matcalc import ElasticityCalc
from pymatgen.core import Lattice, Structure

from ase_geomformer import PotentialCalculator

silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.5), ["Si"], [[0, 0, 0]])
calculator = PotentialCalculator("so3krates-mlearn-si", dtype="float64")
found = ElasticityCalc(calculator, fmax=1e-3, relax_structure=True).calc(silicon)
print(f"bulk modulus {found['bulk_modulus_vrh'] / units.GPa:.1f} GPa")
