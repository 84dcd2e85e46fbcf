"""Thermal expansion of silicon: replicas at several temperatures, at zero pressure.

python md_examples/silicon_expansion.py
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase.build import bulk
from matplotlib.figure import Figure

from ase_geomformer.md import MDSettings
from ase_geomformer.md.analysis import block_average
from ase_geomformer.md.replicas import ReplicaSettings, run_replicas

parser = ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=4000, help="time steps of 2 fs")
parser.add_argument("--repeat", type=int, default=2, help="cubic cells along each side")
parser.add_argument(
    "--output", type=Path, default=Path(__file__).with_name("silicon_expansion_output")
)
options = parser.parse_args()

temperatures_K = [300.0, 600.0, 900.0, 1200.0]
settings = MDSettings(
    ensemble="npt-mtk",
    timestep_fs=2.0,
    steps=options.steps,
    barostat_time_fs=500.0,
    equilibration_steps=options.steps // 40 * 10,  # the first quarter
    seed=1,
)
result = run_replicas(
    bulk("Si", cubic=True) * options.repeat,
    "so3krates-mlearn-si",
    settings,
    ReplicaSettings(temperatures_K=temperatures_K),
    output=options.output,
    overwrite=True,
)

lattice_A, errors_A = [], []
for kelvin, replica in zip(temperatures_K, result.replicas, strict=True):
    kept = replica.log["step"] >= settings.equilibration_steps
    average = block_average(np.cbrt(replica.log["volume_A3"][kept]) / options.repeat)
    lattice_A.append(average.mean)
    errors_A.append(average.error)
    print(f"{kelvin:6.0f} K  a = {average.mean:.4f} ± {average.error:.4f} Å")
slope = np.polyfit(temperatures_K, lattice_A, 1)[0] / lattice_A[0]
print(f"linear expansion {1e6 * slope:.1f} per million and K")

figure = Figure(figsize=(5, 3.5), layout="constrained")
axes = figure.subplots()
axes.errorbar(temperatures_K, lattice_A, errors_A, fmt="o-", capsize=3)
axes.set(xlabel="temperature (K)", ylabel="lattice constant of silicon (Å)")
figure.savefig(options.output / "expansion.png", dpi=160)
print(f"look at {options.output / 'expansion.png'}")
