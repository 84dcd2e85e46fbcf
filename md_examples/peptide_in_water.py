"""A peptide in a box of water at 300 K and 1 bar: built, relaxed, simulated, and drawn.

ase-geomformer models compile so3lr
python md_examples/peptide_in_water.py --steps 20000

The hydrogen atoms move freely, so that the time step is 0.5 fs. To resume a run that was stopped,
add --resume; with more --steps it continues. The figure shows density and temperature, and where
the water is around the oxygen atoms of the peptide.
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.geometry import get_distances
from ase.io import read

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import block_average
from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.runs.style import new_figure

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
    charge = {"charge": solute.info.get("charge", 0)}
    box = Atoms(solute.symbols, solute.positions, cell=[edge] * 3, pbc=True, info=charge)
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


def distribution(frames: list[Atoms], element: str, edges: np.ndarray) -> np.ndarray:
    """Density of the water's atoms of an element around the solute's oxygen, over their mean."""
    index = np.arange(len(frames[0]))
    of = np.array(frames[0].get_chemical_symbols())
    centres = np.flatnonzero((of == "O") & (index < len(solute)))
    counted = np.flatnonzero((of == element) & (index >= len(solute)))
    counts = np.zeros(len(edges) - 1)
    for frame in frames:
        ends = frame.positions[centres], frame.positions[counted]
        distances = get_distances(*ends, cell=frame.cell, pbc=True)[1]
        mean = len(counted) / frame.get_volume()
        counts += np.histogram(distances, edges)[0] / (mean * len(centres) * len(frames))
    return counts / (4.0 / 3.0 * np.pi * np.diff(edges**3))


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
log, start = result.log, settings.equilibration_steps
kept = log["step"] >= start
densities = box.get_masses().sum() * units._amu * 1e27 / log["volume_A3"]  # g/cm^3
density, temperature = block_average(densities[kept]), block_average(log["temperature_K"][kept])
print(f"temperature {temperature.mean:.1f} ± {temperature.error:.1f} K")
print(f"density {density.mean:.3f} ± {density.error:.3f} g/cm^3")

figure = new_figure(7.0, 2.8)
over_time, around = figure.subplots(1, 2)
time = log["time_fs"] / 1000.0
over_time.plot(time, densities, color="C0")
over_time.axvspan(0.0, 0.001 * start * settings.timestep_fs, color="0.9", lw=0)
over_time.set_xlabel("time (ps)")
over_time.set_ylabel("density (g/cm³)", color="C0")
heat = over_time.twinx()
heat.plot(time, log["temperature_K"], color="C1", lw=0.8)
heat.set_ylabel("temperature (K)", color="C1")
frames = read(run_folder / "trajectory.traj", index=":")[start // settings.trajectory_interval :]
edges = np.linspace(0.0, 0.5 * min(frames[0].cell.lengths()), 61)
for element in ("O", "H"):
    values = distribution(frames, element, edges)
    around.plot(0.5 * (edges[1:] + edges[:-1]), values, label=f"{element} of water")
around.set(xlabel="distance from peptide oxygen (Å)", ylabel="g(r)", xlim=(1.0, edges[-1]))
around.legend(frameon=False)
figure.savefig(options.output / "peptide_in_water.png", dpi=160)
print(f"look at {options.output / 'peptide_in_water.png'}")
print(f"watch it: ase gui {run_folder / 'trajectory.traj'}")
