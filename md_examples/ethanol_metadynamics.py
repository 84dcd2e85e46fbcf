"""Free energy of ethanol's hydroxyl torsion by OpenMM's metadynamics (extra openmm).

Two well-tempered runs of different seeds; half of what they differ by is shown as their error.

python md_examples/ethanol_metadynamics.py --steps 200000
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import openmm
from ase import Atoms
from ase.build import molecule
from openmm import app, unit

from ase_geomformer.engines.openmm import openmm_force

POTENTIAL = "so3krates-rmd17-ethanol"
BIAS_FACTOR, HEIGHT_KJ, WIDTH, GRID = 6.0, 0.5, 0.35, 61


def torsion(atoms: Atoms) -> list[int]:
    """C-C-O-H: the hydrogen of the hydroxyl group, its oxygen, and the two carbons behind it."""
    oxygen = atoms.symbols.search("O")[0]
    near = np.argsort(atoms.get_distances(oxygen, range(len(atoms))))[1:3]
    hydrogen, carbon = sorted(near, key=lambda index: atoms.numbers[index])
    others = [index for index in atoms.symbols.search("C") if index != carbon]
    return [int(index) for index in (others[0], carbon, oxygen, hydrogen)]


def free_energy(steps: int, temperature_K: float, seed: int, compiled: bool | str) -> np.ndarray:
    """Free energy on the grid of angles, kJ/mol, zero at its minimum."""
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
        HEIGHT_KJ * unit.kilojoule_per_mole, 50,
    )  # fmt: skip
    integrator = openmm.LangevinMiddleIntegrator(
        temperature_K * unit.kelvin, 10 / unit.picosecond, 0.5 * unit.femtosecond
    )
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(atoms.positions / 10.0)
    simulation.context.setVelocitiesToTemperature(temperature_K * unit.kelvin, seed)
    meta.step(simulation, steps)
    found = np.asarray(meta.getFreeEnergy().value_in_unit(unit.kilojoule_per_mole))
    return found - found.min()


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("ethanol_metadynamics_output")
    )
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--compile", default="auto", choices=["auto", "false"])
    options = parser.parse_args()
    compiled = False if options.compile == "false" else "auto"
    runs = np.array(
        [free_energy(options.steps, options.temperature, seed, compiled) for seed in (1, 2)]
    )
    # The molecule is its own mirror image: both signs of the angle are alike.
    both = np.concatenate([runs, runs[:, ::-1]])
    mean, error = both.mean(axis=0), 0.5 * np.abs(runs[0] - runs[1])
    angles = np.degrees(np.linspace(-np.pi, np.pi, GRID))
    options.output.mkdir(parents=True, exist_ok=True)
    table = np.stack([angles, mean - mean.min(), error], axis=1)
    header = "angle (degrees), free energy (kJ/mol), half the difference of two runs (kJ/mol)"
    np.savetxt(options.output / "free_energy.csv", table, delimiter=",", header=header, fmt="%.4f")
    for angle, energy, half in table[GRID // 2 :: 5]:
        print(f"{angle:6.1f} degrees  {energy:6.2f} ± {half:.2f} kJ/mol")


if __name__ == "__main__":
    main()
