"""Phonons of silicon: bands, densities of states and heat capacity.

python md_examples/silicon_phonons.py
"""

from argparse import ArgumentParser
from pathlib import Path

from ase.build import bulk

from ase_geomformer.recipes import PhononSettings, phonons

parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--length", type=float, default=15.0, help="smallest width of the supercell in Å"
)
parser.add_argument(
    "--output", type=Path, default=Path(__file__).with_name("silicon_phonons_output")
)
options = parser.parse_args()

result = phonons(
    bulk("Si"),
    "so3krates-mlearn-si",
    PhononSettings(supercell_length_A=options.length, mesh_length_A=40.0),
    output=options.output,
    overwrite=True,
)

for point in ("Γ", "X", "L"):
    frequencies = " ".join(f"{frequency:6.2f}" for frequency in result.bands.at(point))
    print(f"{point}  {frequencies} THz")
print(result.stability)
print(f"look at {options.output / 'bands.png'} and {options.output / 'thermal.png'}")
