"""Vibrations and entropy of ethanol, exact and with the potential that comes with ase-geomformer.

python md_examples/ethanol_vibrations.py
"""

from argparse import ArgumentParser
from pathlib import Path

from ase.build import molecule

from ase_geomformer.recipes import VibrationsSettings, vibrations

parser = ArgumentParser(description=__doc__)
parser.add_argument("--output", default=Path(__file__).with_name("ethanol_vibrations_output"))
options = parser.parse_args()

result = vibrations(
    molecule("CH3CH2OH"),
    "so3krates-rmd17-ethanol",
    VibrationsSettings(relax=True, fmax=1e-4, temperature_K=298.15),
    output=options.output,
    overwrite=True,
)
for number, frequency in enumerate(result.frequencies_per_cm, start=1):
    print(f"mode {number:2d}  {frequency:8.1f} cm^-1")
print(f"entropy {1000 * result.at(298.15).entropy_eV_per_K:.3f} meV/K at 298.15 K and 1 bar")
print(f"watch a mode: ase gui {result.output / 'modes' / 'mode_021.extxyz'}")
