"""A peptide in a box of water at 300 K and 1 bar: built, relaxed, and simulated.

python md_examples/peptide_in_water.py --steps 20000

The hydrogen atoms move freely, so that the time step is 0.5 fs. To resume a run that was stopped,
add --resume; with more --steps it goes on.
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.io import read

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import block_average
from ase_geomformer.recipes import RelaxSettings, relax

HERE = Path(__file__).parent
STRUCTURES = HERE.parent / "examples" / "structures"
parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--structure", default=STRUCTURES / "alanine_dipeptide.xyz", help="what is dissolved"
)
parser.add_argument("--box", type=float, default=16.0, help="edge of the cubic box at start, Å")
parser.add_argument("--potential", default="so3lr")
parser.add_argument("--relax_steps", type=int, default=50)
parser.add_argument("--steps", type=int, default=20000, help="time steps of 0.5 fs")
parser.add_argument("--resume", action="store_true")
parser.add_argument("--output", type=Path, default=HERE / "peptide_in_water_output")
options = parser.parse_args()

# g/cm^3 of water and, roughly, of a peptide: how many molecules of water fill the box.
WATER_DENSITY, SOLUTE_DENSITY = 0.997, 1.3
# Å; a molecule of water with an atom closer to the solute is left out.
CLEARANCE = 2.2


def volume(atoms: Atoms, density: float) -> float:
    """Å^3 that atoms take at a density in g/cm^3."""
    return atoms.get_masses().sum() * units._amu * 1e27 / density


def solvated(solute: Atoms, edge: float) -> Atoms:
    """The solute in the middle of a cube of randomly turned molecules of water."""
    random = np.random.default_rng(1)
    box = Atoms(solute.symbols, solute.positions, cell=[edge] * 3, pbc=True)
    box.translate(0.5 * edge - box.get_center_of_mass())
    of_one = volume(molecule("H2O"), WATER_DENSITY)
    wanted = round((edge**3 - volume(solute, SOLUTE_DENSITY)) / of_one)
    # A grid with places to spare, of which as many as are wanted are taken by chance.
    count = int(np.ceil(edge / of_one ** (1 / 3)))
    waters = []
    for corner in np.ndindex(count, count, count):
        water = molecule("H2O")
        water.rotate(random.uniform(0, 360), random.normal(size=3), center="COM")
        water.translate((np.array(corner) + 0.5) * edge / count - water.get_center_of_mass())
        apart = box.positions[:, None] - water.positions[None]
        apart -= edge * np.round(apart / edge)
        if np.linalg.norm(apart, axis=2).min() > CLEARANCE:
            waters.append(water)
    for index in sorted(random.permutation(len(waters))[:wanted]):
        box += waters[index]
    return box


solute = read(options.structure)
box = solvated(solute, options.box)
waters = (len(box) - len(solute)) // 3
print(f"{solute.get_chemical_formula()} with {waters} molecules of water: {len(box)} atoms")
run_folder = options.output / "md"
if not (options.resume and (run_folder / "restart.npz").exists()):
    # Enough to take the clashes out; a liquid has no minimum to go to.
    box = relax(
        box,
        options.potential,
        RelaxSettings(fmax=0.1, steps=options.relax_steps),
        output=options.output / "relax",
        overwrite=True,
    ).atoms
settings = MDSettings(
    ensemble="npt-mtk",
    temperature_K=300.0,
    pressure_GPa=1e-4,  # 1 bar
    timestep_fs=0.5,
    steps=options.steps,
    barostat_time_fs=500.0,
    equilibration_steps=options.steps // 40 * 10,  # the first quarter
    trajectory_interval=20,
    seed=1,
)
result = run_md(
    box,
    options.potential,
    settings,
    output=run_folder,
    resume=options.resume,
    overwrite=not options.resume,
)
kept = result.log["step"] >= settings.equilibration_steps
mass = box.get_masses().sum() * units._amu * 1e3  # g
density = block_average(mass / (result.log["volume_A3"][kept] * 1e-24))
temperature = block_average(result.log["temperature_K"][kept])
print(f"temperature {temperature.mean:.1f} ± {temperature.error:.1f} K")
print(f"density {density.mean:.3f} ± {density.error:.3f} g/cm^3")
print(f"watch it: ase gui {run_folder / 'trajectory.traj'}")
