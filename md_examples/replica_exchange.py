"""Ethanol at several temperatures that are exchanged, so that cold ones see more conformers.

python md_examples/replica_exchange.py
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase.build import molecule
from ase.io import read
from matplotlib.figure import Figure

from ase_geomformer.md import MDSettings
from ase_geomformer.md.replicas import ReplicaSettings, run_replicas

parser = ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=4000, help="time steps of 0.5 fs")
parser.add_argument(
    "--output", type=Path, default=Path(__file__).with_name("replica_exchange_output")
)
options = parser.parse_args()

ethanol = molecule("CH3CH2OH")
bonds = [ethanol.get_distance(2, hydrogen) for hydrogen in range(3, 9)]
hydroxyl = 3 + int(np.argmin(bonds))  # the hydrogen at the oxygen, atom 2

result = run_replicas(
    ethanol,
    "so3krates-rmd17-ethanol",
    MDSettings(ensemble="nvt-langevin", steps=options.steps, seed=1),
    ReplicaSettings(temperatures_K=[300.0, 360.0, 432.0, 518.0], exchange_interval=50),
    output=options.output,
    overwrite=True,
)
for low, share in enumerate(result.acceptance):
    pair = " and ".join(f"{kelvin:.0f}" for kelvin in result.temperatures_K[low : low + 2])
    print(f"{pair} K: {share or 0:.0%} of the exchanges accepted")

# The frames at 300 K, whichever replica was there; log and trajectory have the same steps here.
angles = []
for replica in result.replicas:
    frames = read(replica.output / "trajectory.traj", index=":")
    cold = replica.log["target_temperature_K"] == 300.0
    angles += [
        frame.get_dihedral(0, 1, 2, hydroxyl) for frame, there in zip(frames, cold, strict=True)
        if there
    ]  # fmt: skip
anti = np.mean(np.abs(np.array(angles) - 180.0) < 60.0)
print(f"at 300 K {anti:.0%} of the frames are anti, the others gauche")

figure = Figure(figsize=(5, 3), layout="constrained")
axes = figure.subplots()
axes.hist(angles, bins=np.linspace(0, 360, 37))
axes.set(xlabel="dihedral C-C-O-H (degrees)", ylabel="frames at 300 K")
figure.savefig(options.output / "conformers.png", dpi=160)
print(f"look at {options.output / 'replicas.png'} and {options.output / 'conformers.png'}")
