"""Free energy of ethanol's hydroxyl torsion by OpenMM's metadynamics (extra openmm).

Well-tempered runs of different seeds, whose spread gives the error, beside dynamics without any
bias of many copies in one batch. Runs that are finished are not made again.

ase-geomformer models compile so3krates-rmd17-ethanol
python md_examples/ethanol_metadynamics.py --steps 100000
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import openmm
from ase import Atoms, units
from ase.build import molecule
from openmm import app, unit

from ase_geomformer.engines.openmm import openmm_force
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.runs.style import BLUE, ORANGE, dress, new_figure, save_figure

POTENTIAL = "so3krates-rmd17-ethanol"
TIMESTEP_FS = 0.5
BIAS_FACTOR, HEIGHT_KJ, WIDTH, INTERVAL, GRID = 4.0, 0.3, 0.3, 40, 61
BINS, SAMPLE_STEPS, FRICTION_PER_FS = 24, 10, 0.01


def torsion(atoms: Atoms) -> list[int]:
    """C-C-O-H: the hydrogen of the hydroxyl group, its oxygen, and the two carbons behind it."""
    oxygen = atoms.symbols.search("O")[0]
    near = np.argsort(atoms.get_distances(oxygen, range(len(atoms))))[1:3]
    hydrogen, carbon = sorted(near, key=lambda index: atoms.numbers[index])
    others = [index for index in atoms.symbols.search("C") if index != carbon]
    return [int(index) for index in (others[0], carbon, oxygen, hydrogen)]


def biased(steps: int, temperature_K: float, seed: int, compiled: bool | str) -> np.ndarray:
    """Free energy on the grid of angles by metadynamics, kJ/mol."""
    atoms = molecule("CH3CH2OH")
    topology, system = app.Topology(), openmm.System()
    residue = topology.addResidue("ETH", topology.addChain())
    for symbol, mass in zip(atoms.symbols, atoms.get_masses(), strict=True):
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
        system.addParticle(mass)
    system.addForce(openmm_force(POTENTIAL, topology, compile=compiled))
    angle = openmm.CustomTorsionForce("theta")
    angle.addTorsion(*torsion(atoms))
    variable = app.metadynamics.BiasVariable(angle, -np.pi, np.pi, WIDTH, True, GRID)
    meta = app.Metadynamics(
        system, [variable], temperature_K * unit.kelvin, BIAS_FACTOR,
        HEIGHT_KJ * unit.kilojoule_per_mole, INTERVAL,
    )  # fmt: skip
    integrator = openmm.LangevinMiddleIntegrator(
        temperature_K * unit.kelvin, 10 / unit.picosecond, TIMESTEP_FS * unit.femtosecond
    )
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(atoms.positions / 10.0)
    simulation.context.setVelocitiesToTemperature(temperature_K * unit.kelvin, seed)
    meta.step(simulation, steps)
    return np.asarray(meta.getFreeEnergy().value_in_unit(unit.kilojoule_per_mole))


def unbiased(copies: int, steps: int, temperature_K: float, compiled: bool | str) -> np.ndarray:
    """Angles (copies, frames) in degrees, from 0 to 360, of copies that begin in all minima.

    All copies of a step are one evaluation. Langevin dynamics by BAOAB (Leimkuhler, Matthews,
    J. Chem. Phys. 138, 174102 (2013)).
    """
    random = np.random.default_rng(1)
    start = molecule("CH3CH2OH")
    indices, moving = torsion(start), []
    for copy in range(copies):
        atoms = start.copy()
        atoms.set_dihedral(*indices, (60.0, 180.0, 300.0)[copy % 3], indices=indices[3:])
        moving.append(atoms)
    evaluate = as_evaluator(POTENTIAL, compile=compiled)
    masses, dt = start.get_masses()[:, None], TIMESTEP_FS * units.fs
    thermal = np.sqrt(units.kB * temperature_K / masses)
    kept = np.exp(-FRICTION_PER_FS * TIMESTEP_FS)
    place = np.array([atoms.positions for atoms in moving])
    speed = thermal * random.normal(size=place.shape)

    def forces() -> np.ndarray:
        for atoms, own in zip(moving, place, strict=True):
            atoms.positions = own
        return np.array([found["forces"] for found in evaluate(moving, ("forces",))])

    pull, angles = forces(), []
    for step in range(steps):
        speed += 0.5 * dt * pull / masses
        place += 0.5 * dt * speed
        speed = kept * speed + np.sqrt(1.0 - kept**2) * thermal * random.normal(size=place.shape)
        place += 0.5 * dt * speed
        pull = forces()
        speed += 0.5 * dt * pull / masses
        if step % SAMPLE_STEPS == 0:
            angles.append([atoms.get_dihedral(*indices) for atoms in moving])
    return np.transpose(angles)


def from_counts(counts: np.ndarray, temperature_K: float) -> np.ndarray:
    """Free energy in kJ/mol; the molecule is its own mirror image."""
    return -units.kB * temperature_K * units.mol / units.kJ * np.log(counts + counts[::-1])


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("ethanol_metadynamics_output")
    )
    parser.add_argument("--steps", type=int, default=100_000, help="of each biased run")
    parser.add_argument("--runs", type=int, default=3, help="biased runs, of different seeds")
    parser.add_argument("--copies", type=int, default=30, help="molecules without a bias")
    parser.add_argument("--copy_steps", type=int, default=20_000, help="of each copy")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--compile", default="auto", choices=["auto", "false"])
    options = parser.parse_args()
    compiled = False if options.compile == "false" else "auto"
    options.output.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in range(1, options.runs + 1):
        file = options.output / f"metadynamics_{seed}_{options.steps}.npy"
        if not file.is_file():
            np.save(file, biased(options.steps, options.temperature, seed, compiled))
        runs.append(np.load(file))
    symmetric = np.array([0.5 * (run + run[::-1]) for run in runs])
    symmetric -= symmetric.mean(axis=1)[:, None]
    mean, error = symmetric.mean(axis=0), symmetric.std(axis=0) / np.sqrt(max(1, len(runs) - 1))
    angles = np.linspace(0.0, 360.0, GRID)
    # OpenMM's grid begins at -180 degrees.
    mean, error = (np.interp((angles + 180.0) % 360.0, angles, each) for each in (mean, error))
    mean -= mean.min()

    file = options.output / f"unbiased_{options.copies}_{options.copy_steps}.npy"
    if not file.is_file():
        free_runs = unbiased(options.copies, options.copy_steps, options.temperature, compiled)
        np.save(file, free_runs)
    sampled = np.load(file)
    sampled = sampled[:, sampled.shape[1] // 5 :]
    edges = np.linspace(0.0, 360.0, BINS + 1)
    counts = np.array([np.histogram(each, edges)[0] for each in sampled])
    resampled = np.random.default_rng(0).integers(len(counts), size=(200, len(counts)))
    with np.errstate(divide="ignore", invalid="ignore"):
        free = from_counts(counts.sum(axis=0), options.temperature)
        spread = [from_counts(counts[chosen].sum(axis=0), options.temperature)
                  for chosen in resampled]  # fmt: skip
        doubt = np.std([each - each[np.isfinite(each)].mean() for each in spread], axis=0)
    centres = 0.5 * (edges[1:] + edges[:-1])
    # Both are known up to a constant: the same mean at the angles of both.
    free += (
        np.interp(centres, angles, mean)[np.isfinite(free)].mean() - free[np.isfinite(free)].mean()
    )

    table = np.stack([angles, mean, error], axis=1)
    header = "angle (degrees), free energy (kJ/mol), standard error (kJ/mol)"
    np.savetxt(options.output / "free_energy.csv", table, delimiter=",", header=header, fmt="%.4f")
    print("C-C-O-H   metadynamics   without a bias, kJ/mol")
    for angle, energy, wrong in zip(centres, free, doubt, strict=True):
        if angle < 180.0:
            value, sure = np.interp(angle, angles, mean), np.interp(angle, angles, error)
            print(f"{angle:5.1f} degrees  {value:6.2f} ± {sure:.2f}  {energy:6.2f} ± {wrong:.2f}")

    figure = new_figure(3.5, 2.8)
    axes = figure.subplots()
    axes.fill_between(angles, mean - error, mean + error, color=BLUE, alpha=0.3, lw=0.0)
    axes.plot(angles, mean, color=BLUE, lw=1.2, label=f"metadynamics, {options.runs} runs")
    axes.errorbar(centres, free, doubt, color=ORANGE, marker="o", ms=3, ls="", capsize=2,
                  label="without a bias")  # fmt: skip
    axes.set_xticks(range(0, 361, 60))
    axes.set_xlabel("torsion C-C-O-H (degrees)")
    axes.set_ylabel("free energy (kJ/mol)")
    axes.set_ylim(bottom=-1.0)
    dress(axes)
    axes.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=8,
        columnspacing=1.0,
    )  # fmt: skip
    save_figure(figure, options.output / "free_energy.png")


if __name__ == "__main__":
    main()
