"""Silicon: relaxed lattice, equation of state, elastic constants.

python md_examples/silicon_elastic.py
"""

from argparse import ArgumentParser
from pathlib import Path

from ase.build import bulk

from ase_geomformer.recipes import RelaxSettings, elastic, eos, relax

POTENTIAL = "so3krates-mlearn-si"

parser = ArgumentParser(description=__doc__)
parser.add_argument("--output", default=Path(__file__).with_name("silicon_elastic_output"))
options = parser.parse_args()
output = Path(options.output)

start = bulk("Si", a=5.43)
settings = RelaxSettings(cell="full", fmax=1e-4, smax_GPa=1e-3)
crystal = relax(start, POTENTIAL, settings, output=output / "relax", overwrite=True).atoms
curve = eos(crystal, POTENTIAL, output=output / "eos", overwrite=True)
tensor = elastic(crystal, POTENTIAL, output=output / "elastic", overwrite=True)
print(f"lattice constant {(4 * crystal.get_volume()) ** (1 / 3):.4f} Å")
print(f"bulk modulus {curve.fit.bulk_modulus_GPa:.1f} GPa from the equation of state")
print(f"bulk modulus {tensor.moduli.bulk_hill_GPa:.1f} GPa from the elastic constants")
print(f"look at {output / 'eos' / 'eos.png'} and {output / 'elastic' / 'elastic.png'}")
