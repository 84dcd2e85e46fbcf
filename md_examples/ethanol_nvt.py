"""One picosecond of ethanol at 300 K with the potential that comes with ase-geomformer.

python md_examples/ethanol_nvt.py
"""

from argparse import ArgumentParser
from pathlib import Path

from ase.build import molecule

from ase_geomformer.md import MDSettings, run_md

parser = ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2000, help="time steps of 0.5 fs")
parser.add_argument("--output", default=Path(__file__).with_name("ethanol_nvt_output"))
options = parser.parse_args()

settings = MDSettings(
    ensemble="nvt-langevin",
    temperature_K=300,
    timestep_fs=0.5,
    steps=options.steps,
    seed=1,
    equilibration_steps=options.steps // 50 * 10,  # the first fifth warms the molecule up
)
result = run_md(
    molecule("CH3CH2OH"),
    "so3krates-rmd17-ethanol",
    settings,
    output=options.output,
    overwrite=True,
)
print(f"mean temperature {result.averages['temperature_K'].mean:.0f} K")
print(f"look at {result.output / 'md.png'}, or: ase gui {result.output / 'trajectory.traj'}")
