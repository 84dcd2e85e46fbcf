"""
Is this potential right for my structure?
=========================================

The self-test runs a potential through physical checks on your own structure.
"""

# %%
from ase.build import molecule

from ase_geomformer import selftest

result = selftest("so3krates-rmd17-ethanol", molecule("CH3CH2OH"))
print("passed" if result.passed else result.problem)
result

# %%
# A structure with an element that the potential does not know is refused, by name.
from ase_geomformer import PotentialCalculator

methanethiol = molecule("CH3SH")
methanethiol.calc = PotentialCalculator("so3krates-rmd17-ethanol")
try:
    methanethiol.get_potential_energy()
except ValueError as error:
    print(error)
