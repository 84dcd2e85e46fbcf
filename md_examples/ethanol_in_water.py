"""Ethanol by a potential of this package in classical water, by OpenMM (extra openmm).

A mechanical embedding: the potential acts among the atoms of the molecule, TIP3P is the water, and
between the two act charges and Lennard-Jones terms of OPLS-AA (Jorgensen, Maxwell, Tirado-Rives,
J. Am. Chem. Soc. 118, 11225 (1996)).

python md_examples/ethanol_in_water.py --steps 20000
"""

import sys
from argparse import ArgumentParser
from io import StringIO
from itertools import combinations
from pathlib import Path

import numpy as np
import openmm
from ase.build import molecule
from ase.neighborlist import natural_cutoffs, neighbor_list
from openmm import app, unit

from ase_geomformer.engines.openmm import openmm_force
from ase_geomformer.runs.report import tracked
from ase_geomformer.runs.style import BLUE, ORANGE, dress, new_figure, save_figure

# Charge in e, sigma in nm and epsilon in kJ/mol of each kind of atom.
KINDS = {
    "CH3": (-0.180, 0.350, 0.276144),
    "CH2": (0.145, 0.350, 0.276144),
    "HC": (0.060, 0.250, 0.125520),
    "O": (-0.683, 0.312, 0.711280),
    "HO": (0.418, 0.100, 0.0),
}
TIMESTEP_FS, SAMPLE_STEPS = 0.5, 20
FARTHEST_A, BINS = 6.0, 40


def kinds_of(symbols: list[str], bonds: list[tuple[int, int]]) -> list[str]:
    """The kind of each atom, by its neighbours."""
    near = [[b if a == index else a for a, b in bonds if index in (a, b)]
            for index in range(len(symbols))]  # fmt: skip
    found = []
    for symbol, others in zip(symbols, near, strict=True):
        has_oxygen = any(symbols[other] == "O" for other in others)
        found.append({"C": "CH2" if has_oxygen else "CH3", "O": "O"}.get(
            symbol, "HO" if has_oxygen else "HC"))  # fmt: skip
    return found


def force_field(symbols: list[str], kinds: list[str], bonds: list[tuple[int, int]]) -> StringIO:
    """What OpenMM is to know of the molecule: no bonds, angles and torsions, which it is not to
    compute."""
    mass = {"H": 1.008, "C": 12.011, "O": 15.999}
    types = "".join(
        f'<Type name="{kind}" class="{kind}" element="{symbol}" mass="{mass[symbol]}"/>'
        for kind, symbol in dict(zip(kinds, symbols, strict=True)).items()
    )
    atoms = "".join(
        f'<Atom name="{s}{n}" type="{k}" charge="{KINDS[k][0]}"/>'
        for n, (s, k) in enumerate(zip(symbols, kinds, strict=True))
    )
    links = "".join(f'<Bond from="{a}" to="{b}"/>' for a, b in bonds)
    nonbonded = "".join(
        f'<Atom type="{k}" sigma="{KINDS[k][1]}" epsilon="{KINDS[k][2]}"/>' for k in set(kinds)
    )
    return StringIO(
        f'<ForceField><AtomTypes>{types}</AtomTypes><Residues><Residue name="ETH">{atoms}{links}'
        "</Residue></Residues>"
        # As in the water's file; within the molecule nothing classical acts, see below.
        '<NonbondedForce coulomb14scale="0.833333" lj14scale="0.5">'
        f'<UseAttributeFromResidue name="charge"/>{nonbonded}</NonbondedForce></ForceField>'
    )


def embedded(
    potential: str, edge_nm: float, compiled: bool | str
) -> tuple[app.Modeller, openmm.System]:
    """The molecule in a box of water, and the system of forces."""
    atoms = molecule("CH3CH2OH")
    symbols = list(atoms.symbols)
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2))
    bonds = [(int(a), int(b)) for a, b in zip(first, second, strict=True) if a < b]
    kinds = kinds_of(symbols, bonds)
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    made = [
        topology.addAtom(f"{symbol}{n}", app.Element.getBySymbol(symbol), residue)
        for n, symbol in enumerate(symbols)
    ]
    for a, b in bonds:
        topology.addBond(made[a], made[b])
    modeller = app.Modeller(topology, atoms.positions / 10.0 * unit.nanometer)
    field = app.ForceField(force_field(symbols, kinds, bonds), "tip3p.xml")
    modeller.addSolvent(field, model="tip3p", boxSize=openmm.Vec3(*[edge_nm] * 3) * unit.nanometer)
    system = field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.45 * edge_nm * unit.nanometer
    )
    # Nothing classical acts within the molecule.
    (nonbonded,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    solute = range(len(atoms))
    for a, b in combinations(solute, 2):
        nonbonded.addException(a, b, 0.0, 0.1, 0.0, True)
    # Bonds without strength, so that OpenMM moves the molecule as one at the boundary.
    together = openmm.HarmonicBondForce()
    for a, b in bonds:
        together.addBond(a, b, 0.1, 0.0)
    system.addForce(together)
    force = openmm_force(potential, modeller.topology, solute, periodic=False, compile=compiled)
    system.addForce(force)
    return modeller, system


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="so3krates-rmd17-ethanol")
    parser.add_argument("--edge", type=float, default=2.0, help="of the cubic box, nm")
    parser.add_argument("--steps", type=int, default=20_000, help="time steps of 0.5 fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--compile", default="auto", choices=["auto", "false"])
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("ethanol_in_water_output")
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    compiled = False if options.compile == "false" else "auto"
    modeller, system = embedded(options.potential, options.edge, compiled)
    integrator = openmm.LangevinMiddleIntegrator(
        options.temperature * unit.kelvin, 5 / unit.picosecond, TIMESTEP_FS * unit.femtosecond
    )
    integrator.setRandomNumberSeed(1)
    simulation = app.Simulation(
        modeller.topology, system, integrator, openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1"},
    )  # fmt: skip
    simulation.context.setPositions(modeller.positions)
    simulation.minimizeEnergy(maxIterations=100)
    simulation.context.setVelocitiesToTemperature(options.temperature * unit.kelvin, 1)
    symbols = [atom.element.symbol for atom in modeller.topology.atoms()]
    oxygen = symbols.index("O")
    water = {s: [n for n in range(9, len(symbols)) if symbols[n] == s] for s in ("O", "H")}
    edges = np.linspace(0.0, FARTHEST_A, BINS + 1)
    counts, frames = dict.fromkeys(water, 0), 0
    samples = range(0, options.steps, SAMPLE_STEPS)
    for step in tracked(samples, f"steps, {SAMPLE_STEPS} each", sys.stdout.isatty()):
        simulation.step(min(SAMPLE_STEPS, options.steps - step))
        if step < options.steps // 5:
            continue
        state = simulation.context.getState(positions=True)
        place = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        apart = place - place[oxygen]
        apart -= 10.0 * options.edge * np.round(apart / (10.0 * options.edge))
        distances = np.linalg.norm(apart, axis=1)
        for symbol, chosen in water.items():
            counts[symbol] = counts[symbol] + np.histogram(distances[chosen], edges)[0]
        frames += 1
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    centres = 0.5 * (edges[1:] + edges[:-1])
    densities = {s: len(chosen) / (10.0 * options.edge) ** 3 for s, chosen in water.items()}
    curves = {s: counts[s] / (frames * shells * densities[s]) for s in water}
    table = np.stack([centres, *curves.values()], axis=1)
    header = "distance from ethanol's O (Å), g of water's O, g of water's H"
    np.savetxt(options.output / "rdf.csv", table, delimiter=",", header=header, fmt="%.4f")
    with (options.output / "final.pdb").open("w") as file:
        final = simulation.context.getState(positions=True).getPositions()
        app.PDBFile.writeFile(modeller.topology, final, file)
    near = counts["O"][edges[1:] <= 3.5].sum() / frames
    print(f"{len(water['O'])} molecules of water; {near:.1f} of them within 3.5 Å of ethanol's O")
    figure = new_figure(3.5, 2.6)
    axes = figure.subplots()
    for (symbol, curve), colour in zip(curves.items(), (BLUE, ORANGE), strict=True):
        axes.plot(centres, curve, color=colour, lw=1.2, label=f"{symbol} of water")
    axes.axhline(1.0, color="black", lw=0.6)
    axes.set_xlabel("distance from the oxygen of ethanol (Å)")
    axes.set_ylabel("radial distribution")
    dress(axes)
    axes.legend(frameon=False, loc="upper left")
    save_figure(figure, options.output / "rdf.png")


if __name__ == "__main__":
    main()
