"""Dynamics of a committee that keeps the frames its members do not agree about.

Two potentials trained on the same molecule explore it hot; harvest.extxyz then holds frames for
the next reference calculations.

python md_examples/active_learning.py
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase.build import molecule
from ase.io import read
from matplotlib.figure import Figure

from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.md import GuardSettings, HarvestSettings, MDSettings, Observer, run_md

parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--potentials", nargs="+", default=["so3krates-rmd17-ethanol", "geomformer-rmd17-ethanol"]
)
parser.add_argument("--steps", type=int, default=4000, help="time steps of 0.5 fs")
parser.add_argument("--threshold", type=float, default=0.2, help="spread to keep frames at, eV/Å")
parser.add_argument(
    "--output", type=Path, default=Path(__file__).with_name("active_learning_output")
)
options = parser.parse_args()

settings = MDSettings(
    temperature_K=300.0,
    temperature_end_K=1000.0,  # further and further from what the potentials know
    steps=options.steps,
    seed=1,
    harvest=HarvestSettings(min_forces_spread_eV_per_A=options.threshold, min_steps=20),
    guards=GuardSettings(max_forces_spread_eV_per_A=10 * options.threshold),  # then they are lost
)
steps, spreads = [], []


def note(atoms, step):
    steps.append(step)
    spreads.append(atoms.calc.results["forces_spread"].max())


result = run_md(
    molecule("CH3CH2OH"),
    CommitteeCalculator(options.potentials),
    settings,
    output=options.output,
    observers=[Observer(note, 5)],
    overwrite=True,
)
harvest = options.output / "harvest.extxyz"
frames = read(harvest, index=":") if harvest.exists() else []
print(f"{result.steps} steps, {len(frames)} frames to label in {harvest}")

figure = Figure(figsize=(6, 3.5), layout="constrained")
axes = figure.subplots()
axes.semilogy(np.array(steps) * settings.timestep_fs / 1000, spreads, lw=0.8)
axes.axhline(options.threshold, color="black", ls="--", lw=1)
chosen = [frame.info["max_forces_spread_eV_per_A"] for frame in frames]
axes.semilogy([frame.info["time_fs"] / 1000 for frame in frames], chosen, "o", ms=4)
axes.set(xlabel="time (ps)", ylabel="largest spread of a force (eV/Å)")
figure.savefig(options.output / "spread.png", dpi=160)
print(f"look at {options.output / 'spread.png'}")
