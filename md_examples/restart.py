"""A run in two parts is the run in one part, to the last bit.

python md_examples/restart.py
"""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.build import molecule

from ase_geomformer.md import MDSettings, run_md

parser = ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=400, help="time steps of 0.5 fs")
parser.add_argument("--output", type=Path, default=Path(__file__).with_name("restart_output"))
options = parser.parse_args()

atoms, potential = molecule("CH3CH2OH"), "so3krates-rmd17-ethanol"
settings = MDSettings(ensemble="nvt-nose-hoover", steps=options.steps, log_interval=5, seed=1)
first_half = replace(settings, steps=options.steps // 2)

one = run_md(atoms, potential, settings, output=options.output / "one", overwrite=True)
run_md(atoms, potential, first_half, output=options.output / "two", overwrite=True)
# Here the process may end, or be killed: restart.npz holds all that is needed to go on.
two = run_md(None, potential, settings, output=options.output / "two", resume=True)

difference = np.abs(one.atoms.positions - two.atoms.positions).max()
print(f"largest difference of positions {difference} Å")
print(f"same log: {np.array_equal(one.log['total_energy_eV'], two.log['total_energy_eV'])}")
print(f"look at {two.output / 'md.png'}")
