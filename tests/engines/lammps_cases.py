"""Runs of LAMMPS on any number of processes; started by ``test_lammps`` under mpiexec.

Each case leaves numbers that must not depend on the number of processes, and how far they are from
those of the ASE calculator. All are written as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.md.velocitydistribution import thermalize_momenta

from ase_geomformer.architectures.base import build
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.engines.lammps import Attached, attach, create_atoms, start
from ase_geomformer.engines.lammps.structure import atom_types
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.prepared import PreparedPotential, prepare

STRESS = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
CASES: dict[str, Callable[[Path], dict[str, Any]]] = {}


def case(function: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    CASES[function.__name__] = function
    return function


def prepared(name: str | Potential) -> PreparedPotential:
    return prepare(name, dtype="float64", compile=False, long_range="published")


def session(
    atoms: Atoms,
    potential: PreparedPotential,
    boundary: str | None = None,
    *,
    style: str = "atomic",
    **keywords: Any,
) -> tuple[Any, Attached]:
    """LAMMPS with the atoms, in the orientation that it wants, and the potential."""
    lmp = start(["-screen", "none", "-log", "none"])
    lmp.commands_list(["units metal", f"atom_style {style}"])
    symbols = create_atoms(lmp, atoms, boundary)
    return lmp, attach(lmp, potential, symbols, **keywords)


def gathered(lmp: Any, name: str) -> np.ndarray:
    return np.array(lmp.gather_atoms(name, 1, 3)).reshape(-1, 3)


def snapshot(lmp: Any, attached: Attached, atoms: Atoms) -> dict[str, Any]:
    """Energy, forces and pressures, and their differences from the calculator's."""
    kinds = atom_types(atoms)
    types = np.array(lmp.gather_atoms("type", 0, 1)) - 1
    low, high, xy, yz, xz, periodic, _ = lmp.extract_box()
    lx, ly, lz = np.subtract(high, low)
    same = Atoms(
        [kinds.elements[kind] for kind in types],
        masses=[kinds.masses[kind] for kind in types],
        positions=gathered(lmp, "x"),
        cell=[[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]],
        pbc=periodic,
        info=dict(atoms.info),
    )
    same.calc = PotentialCalculator(attached.evaluator.prepared)
    forces, energy = gathered(lmp, "f"), lmp.get_thermo("pe")
    # Without atoms in motion: their pressure is LAMMPS' own.
    kinetic = gathered(lmp, "v")
    masses = same.get_masses()[:, None, None] * (kinetic[:, :, None] * kinetic[:, None, :])
    moving = masses.sum(axis=0) * 1.0364269e-4 / same.get_volume()
    stress = same.get_stress(voigt=False) - moving
    pressure = np.array([lmp.get_thermo(name) for name in STRESS])
    # By LAMMPS' constant for bar, of seven digits.
    voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    expected = -voigt * lmp.extract_global("nktv2p")
    return {
        "energy": energy,
        "forces": forces.tolist(),
        "pressure": pressure.tolist(),
        "energy error": energy - same.get_potential_energy(),
        "force error": float(np.abs(forces - same.get_forces()).max()),
        "pressure error": float(np.abs(pressure - expected).max()),
        "pressure scale": float(np.abs(pressure).max()),
        "largest force": float(np.abs(forces).max()),
    }


def silicon() -> Atoms:
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=1)
    return atoms


@case
def crystal(folder: Path) -> dict[str, Any]:
    lmp, attached = session(silicon(), prepared("so3krates-mlearn-si"))
    lmp.command("run 0")
    return snapshot(lmp, attached, silicon())


@case
def deep(folder: Path) -> dict[str, Any]:
    lmp, attached = session(silicon(), prepared("so3krates-mlearn-si"), mode="deep")
    lmp.command("run 0")
    return snapshot(lmp, attached, silicon())


@case
def triclinic(folder: Path) -> dict[str, Any]:
    atoms = bulk("Si") * (3, 3, 3)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + [[0, 0.1, 0], [0, 0, 0.05], [0.02, 0, 0]]),
                   scale_atoms=True)  # fmt: skip
    atoms.rattle(0.05, seed=2)
    masses = atoms.get_masses()
    masses[::5] = 29.977  # isotopes of 30
    atoms.set_masses(masses)
    thermalize_momenta(atoms, 500.0, rng=np.random.default_rng(0))
    lmp, attached = session(atoms, prepared("geomformer-mlearn-si"))
    lmp.command("run 0")
    found = snapshot(lmp, attached, atoms)
    # Power and kinetic energy do not depend on the orientation.
    atoms.calc = PotentialCalculator(attached.evaluator.prepared)
    power = np.sum(atoms.get_forces() * atoms.get_velocities()) * 1000.0 * units.fs
    return {
        **found,
        "types": lmp.extract_setting("ntypes"),
        "kinetic error": lmp.get_thermo("ke") - atoms.get_kinetic_energy(),
        "power error": float(np.sum(gathered(lmp, "f") * gathered(lmp, "v")) - power),
        "power": float(power),
    }


@case
def oxide(folder: Path) -> dict[str, Any]:
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 2, 1)
    atoms.rattle(0.05, seed=3)
    lmp, attached = session(atoms, prepared("est-mgo"))
    lmp.command("run 0")
    return snapshot(lmp, attached, atoms)


@case
def open_molecule(folder: Path) -> dict[str, Any]:
    """One small molecule in a wide box, so that some processes own nothing."""
    atoms = molecule("CH3CH2OH", cell=[30.0, 30.0, 30.0])
    atoms.positions += [2.0, 2.0, 2.0] - atoms.positions.min(axis=0)
    atoms.rattle(0.03, seed=4)
    lmp, attached = session(atoms, prepared("so3krates-rmd17-ethanol"))
    lmp.command("run 0")
    found = snapshot(lmp, attached, atoms)
    lmp, attached = session(atoms, prepared("so3krates-rmd17-ethanol"), "s s s")
    lmp.command("run 0")
    return {**found, "shrunk": gathered(lmp, "f").tolist()}


@case
def slab(folder: Path) -> dict[str, Any]:
    atoms = fcc111("Cu", (3, 2, 3), vacuum=6.0, orthogonal=True)
    atoms.rattle(0.05, seed=5)
    lmp, attached = session(atoms, prepared("so3krates-mlearn-cu"))
    lmp.command("run 0")
    return snapshot(lmp, attached, atoms)


@case
def charged(folder: Path) -> dict[str, Any]:
    """Charges that sum to the total, Coulomb and dispersion within a cutoff."""
    torch.manual_seed(1)
    settings = {"cutoff": 3.0, "avg_num_neighbors": 8.0, "num_features": 24, "num_layers": 2,
                "degrees": (1, 2), "num_heads": 2, "charge_embedding": True, "charge_width": 8,
                "hirshfeld_width": 8}  # fmt: skip
    terms = build_terms({"electrostatics": {"long_range_cutoff": 6.0},
                         "dispersion": {"long_range_cutoff": 6.0}})  # fmt: skip
    architecture = build("so3krates", settings)
    potential = Potential(architecture, ["Mg", "O"], terms=terms, energy_scale=10.0).double()
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 1, 1)
    atoms.rattle(0.05, seed=3)
    atoms.info["charge"] = 2.0
    lmp, attached = session(atoms, prepared(potential), style="charge", charge=2.0)
    lmp.command("run 0")
    charges = list(lmp.gather_atoms("q", 1, 1))
    return {**snapshot(lmp, attached, atoms), "charges": charges, "total": sum(charges)}


@case
def nve(folder: Path) -> dict[str, Any]:
    """Atoms that drift through the box: all migrate."""
    atoms = silicon()
    drift = np.random.default_rng(0).normal(0.0, 4.0, (len(atoms), 3)) + [60.0, 40.0, 0.0]
    atoms.set_velocities(drift / (1000.0 * units.fs))  # Å/ps
    lmp, attached = session(atoms, prepared("so3krates-mlearn-si"))
    lmp.commands_list(["fix move all nve", "timestep 0.001", "run 0"])
    begin = lmp.get_thermo("etotal")
    lmp.command("run 40")
    found = snapshot(lmp, attached, atoms)
    return {
        **found,
        "velocities": gathered(lmp, "v").tolist(),
        "drift": lmp.get_thermo("etotal") - begin,
        "builds": attached.builds,
        "evaluations": attached.evaluations,
    }


@case
def nvt(folder: Path) -> dict[str, Any]:
    lmp, attached = session(silicon(), prepared("so3krates-mlearn-si"))
    lmp.commands_list([
        "velocity all create 600 7 loop geom",
        "fix move all nvt temp 600 600 0.1",
        "timestep 0.001",
        "run 20",
    ])  # fmt: skip
    return {**snapshot(lmp, attached, silicon()), "temperature": lmp.get_thermo("temp")}


@case
def npt(folder: Path) -> dict[str, Any]:
    lmp, attached = session(silicon(), prepared("so3krates-mlearn-si"))
    lmp.commands_list([
        "velocity all create 600 7 loop geom",
        "fix move all npt temp 600 600 0.1 aniso 0 0 0.2",
        "timestep 0.001",
        "run 20",
    ])  # fmt: skip
    found = snapshot(lmp, attached, silicon())
    return {**found, "box": [lmp.get_thermo(name) for name in ("lx", "ly", "lz")]}


@case
def npt_triclinic(folder: Path) -> dict[str, Any]:
    atoms = bulk("Si") * (3, 3, 3)
    atoms.rattle(0.05, seed=2)
    lmp, attached = session(atoms, prepared("so3krates-mlearn-si"))
    lmp.commands_list([
        "velocity all create 300 7 loop geom",
        "fix move all npt temp 300 300 0.1 tri 0 0 0.2",
        "timestep 0.001",
        "run 20",
    ])  # fmt: skip
    found = snapshot(lmp, attached, atoms)
    return {**found, "box": [lmp.get_thermo(name) for name in ("lx", "ly", "lz", "xy")]}


@case
def minimised(folder: Path) -> dict[str, Any]:
    lmp, attached = session(silicon(), prepared("so3krates-mlearn-si"))
    lmp.commands_list(["min_style cg", "minimize 0.0 1e-3 200 400"])
    return snapshot(lmp, attached, silicon())


@case
def restarted(folder: Path) -> dict[str, Any]:
    """Twenty steps at once, and ten with ten more from a restart file."""
    potential = prepared("so3krates-mlearn-si")
    run = ["fix move all nve", "timestep 0.001"]
    lmp, _ = session(silicon(), potential)
    file = folder / "half.restart"
    lmp.commands_list(["velocity all create 600 7 loop geom", *run, "run 10"])
    lmp.commands_list([f"write_restart {file}", "run 10"])
    whole = gathered(lmp, "v")
    lmp = start(["-screen", "none", "-log", "none"])
    lmp.command(f"read_restart {file}")
    attached = attach(lmp, potential, ["Si"])
    lmp.commands_list([*run, "run 10"])
    again = gathered(lmp, "v")
    difference = float(np.abs(again - whole).max())
    return {**snapshot(lmp, attached, silicon()), "difference": difference}


if __name__ == "__main__":
    target, *names = sys.argv[1:]
    found = {name: CASES[name](Path(target).parent) for name in names or CASES}
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 0:
        Path(target).write_text(json.dumps(found))
