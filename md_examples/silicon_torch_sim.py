"""Many crystals of silicon in one batch of torch-sim: relaxed with their cells, then heated.

pip install 'ase-geomformer[torchsim]'
python md_examples/silicon_torch_sim.py --crystals 8
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import torch_sim
from ase.build import bulk
from ase.geometry import find_mic
from ase.io import write

from ase_geomformer.engines.torch_sim import TorchSimModel

parser = ArgumentParser(description=__doc__)
parser.add_argument("--potential", default="so3krates-mlearn-si")
parser.add_argument("--crystals", type=int, default=8)
parser.add_argument("--max_steps", type=int, default=200, help="of the relaxation")
parser.add_argument("--steps", type=int, default=100, help="of dynamics at 300 K, of 1 fs")
parser.add_argument(
    "--output", type=Path, default=Path(__file__).with_name("silicon_torch_sim_output")
)
options = parser.parse_args()
options.output.mkdir(parents=True, exist_ok=True)

crystals = []
for seed in range(options.crystals):
    atoms = bulk("Si", a=5.431 * (0.96 + 0.08 * seed / max(1, options.crystals - 1)), cubic=True)
    atoms.rattle(0.05, seed=seed)
    crystals.append(atoms)
model = TorchSimModel(options.potential, dtype="float64")
relaxed = torch_sim.optimize(
    system=crystals,
    model=model,
    optimizer=torch_sim.frechet_cell_fire,
    max_steps=options.max_steps,
    convergence_fn=torch_sim.generate_force_convergence_fn(force_tol=1e-3),
)
energies = model(relaxed)["energy"].numpy()
structures = relaxed.to_atoms()
write(options.output / "relaxed.extxyz", structures)
for before, after, energy in zip(crystals, structures, energies, strict=True):
    print(f"lattice constant {before.cell.lengths()[0]:.3f} -> {after.cell.lengths()[0]:.4f} Å, "
          f"energy {energy / len(after):.5f} eV/atom")  # fmt: skip
heated = torch_sim.integrate(
    system=structures,
    model=model,
    integrator=torch_sim.nvt_langevin,
    n_steps=options.steps,
    temperature=300.0,
    timestep=0.001,
)
hot = heated.to_atoms()
write(options.output / "heated.extxyz", hot)
# torch-sim has wrapped them into the cell.
moved = [
    find_mic(after.positions - before.positions, before.cell)[1].mean()
    for before, after in zip(structures, hot, strict=True)
]
print(f"{options.steps} fs at 300 K moved the atoms by {np.mean(moved):.3f} Å")
