"""What benchmarks/engines.py compares: structures, and engines that run in its own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from cases import water

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.cluster import on_cluster

Row = dict[str, Any]
EXACT: dict[str, Any] = {"dtype": "float64", "compile": False}


@dataclass(frozen=True)
class Case:
    """A potential and a structure.

    Attributes
    ----------
    potential, structure : str
        Name of the potential, and what the structure is.
    make : callable
        Its atoms, off all symmetric sites.
    settings : dict
        How the potential is evaluated.
    """

    potential: str
    structure: str
    make: Callable[[], Atoms]
    settings: dict[str, Any]


def _case(potential: str, structure: str, make: Callable[[], Atoms], **settings: Any) -> Case:
    def rattled() -> Atoms:
        atoms = make()
        atoms.rattle(0.05, seed=1)
        return atoms

    return Case(potential, structure, rattled, {**EXACT, **settings})


def _ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH", cell=[20.0, 20.0, 20.0])
    atoms.positions += [2.0, 2.0, 2.0] - atoms.positions.min(axis=0)
    return atoms


def _silicon() -> Atoms:
    return bulk("Si", cubic=True) * (2, 2, 2)


def _triclinic() -> Atoms:
    atoms = bulk("Si") * (3, 3, 3)
    shear = np.eye(3) + [[0.0, 0.1, 0.0], [0.0, 0.0, 0.05], [0.02, 0.0, 0.0]]
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    return atoms


def _slab() -> Atoms:
    return fcc111("Cu", (3, 2, 3), vacuum=6.0, orthogonal=True)


CASES = {
    "silicon": _case("so3krates-mlearn-si", "silicon, 64 atoms", _silicon),
    "silicon-est": _case("est-mlearn-si", "silicon, 64 atoms", _silicon),
    "silicon-geomformer": _case("geomformer-mlearn-si", "silicon, triclinic, 54 atoms", _triclinic),
    "copper": _case("so3krates-mlearn-cu", "copper slab, open along z", _slab),
    "molybdenum": _case("est-mlearn-mo", "molybdenum, 54 atoms",
                        lambda: bulk("Mo", cubic=True) * (3, 3, 3)),
    "oxide": _case("est-mgo", "magnesium oxide, 32 atoms",
                   lambda: bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 2, 1)),
    "ethanol": _case("so3krates-rmd17-ethanol", "ethanol, open", _ethanol),
    "ethanol-est": _case("est-rmd17-ethanol", "ethanol, open", _ethanol),
    "ethanol-geomformer": _case("geomformer-rmd17-ethanol", "ethanol, open", _ethanol),
    "water": _case("so3lr", "water, 81 atoms, Coulomb and dispersion to 8 Å",
                   lambda: water(3), long_range_cutoff=8.0),
}  # fmt: skip


def calculated(case: Case) -> Atoms:
    """The atoms with the ASE calculator."""
    atoms = case.make()
    atoms.calc = PotentialCalculator(case.potential, **case.settings)
    return atoms


def differences(
    atoms: Atoms, energy: float, forces: np.ndarray, stress: np.ndarray | None = None
) -> Row:
    """Of an engine's results from the calculator's; the stress, in eV/Å^3, where it has one."""
    row: Row = {
        "energy_eV": abs(float(energy) - atoms.get_potential_energy()),
        "forces_eV_per_A": float(np.abs(forces - atoms.get_forces()).max()),
    }
    if stress is not None:
        wrong = np.abs(stress - atoms.get_stress(voigt=False)).max()
        row["pressure_GPa"] = float(wrong / units.GPa)
    return row


def mliap(case: Case, atoms: Atoms) -> Row | None:
    from ase_geomformer.engines.mliap import MLIAPPotential
    from tests.engines.test_mliap import Data

    elements = sorted(set(atoms.symbols))
    try:
        model = MLIAPPotential(case.potential, elements, **case.settings)
    except ValueError:
        return None  # sums over all processes, which ML-IAP does not offer
    data: Any = Data(atoms, elements, 2.0 * model.rcutfac)
    model.compute_forces(data)
    stress = -data.virial / atoms.get_volume() if atoms.pbc.all() else None
    return differences(atoms, data.energy, data.all_forces(), stress)


def ipi(case: Case, atoms: Atoms) -> Row | None:
    from ase_geomformer.engines.ipi.driver import GeomformerDriver
    from ase_geomformer.engines.ipi.given import GIVEN, Given
    from ase_geomformer.engines.ipi.inputs import turned
    from ase_geomformer.evaluate import as_evaluator

    # i-PI takes cells whose vectors are upper triangular, and knows no slabs' stress.
    same = turned(atoms)
    same.calc = atoms.calc
    bare = same.copy()
    token = GIVEN.set(Given(as_evaluator(case.potential, **case.settings), bare))
    try:
        driver = GeomformerDriver()
    finally:
        GIVEN.reset(token)
    cell, place = bare.cell.array.T / units.Bohr, bare.positions.ravel() / units.Bohr
    energy, forces, virial, _ = driver.compute([cell] * 2, [place] * 2)[1]
    stress = -virial * units.Hartree / same.get_volume() if same.pbc.all() else None
    forces = forces * units.Hartree / units.Bohr
    return differences(same, energy * units.Hartree, forces, stress)


def openmm(case: Case, atoms: Atoms) -> Row | None:
    import openmm as mm
    from openmm import app, unit

    from ase_geomformer.engines.openmm import openmm_force

    if atoms.pbc.any() and not (atoms.pbc.all() and atoms.cell.orthorhombic):
        return None  # OpenMM's cells are open or periodic, and of its own shape
    topology, system = app.Topology(), mm.System()
    residue = topology.addResidue("X", topology.addChain())
    for symbol, mass in zip(atoms.symbols, atoms.get_masses(), strict=True):
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
        system.addParticle(mass)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors(atoms.cell.array / 10.0 * unit.nanometer)
        system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10.0))
    system.addForce(openmm_force(case.potential, topology, **case.settings))
    platform = mm.Platform.getPlatformByName("Reference")
    context = mm.Context(system, mm.VerletIntegrator(0.001), platform)
    context.setPositions(atoms.positions / 10.0)
    state = context.getState(energy=True, forces=True)
    kj = units.mol / units.kJ
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) / kj
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.angstrom)
    return differences(atoms, energy, forces / kj)


def torch_sim(case: Case, atoms: Atoms) -> Row | None:
    import torch
    from torch_sim.io import atoms_to_state

    from ase_geomformer.engines.torch_sim import TorchSimModel

    if atoms.pbc.any() and not atoms.pbc.all():
        return None  # its releases for Python 3.11 know no slabs
    bare = atoms.copy()
    state = atoms_to_state([bare, bare], torch.device("cpu"), torch.float64)
    found = TorchSimModel(case.potential, **case.settings)(state)
    stress = found["stress"][1].numpy() if atoms.pbc.all() else None
    return differences(
        atoms, float(found["energy"][1]), found["forces"][len(atoms) :].numpy(), stress
    )


def dask(case: Case, atoms: Atoms) -> Row | None:
    bare = atoms.copy()
    names = ("energy", "forces", "stress") if atoms.pbc.all() else ("energy", "forces")
    with on_cluster(case.potential, "local:2", **case.settings) as many:
        found = many([bare, bare], names)[1]
    stress = None
    if atoms.pbc.all():
        xx, yy, zz, yz, xz, xy = found["stress"]
        stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return differences(atoms, found["energy"], found["forces"], stress)


ENGINES: dict[str, Callable[[Case, Atoms], Row | None]] = {
    "ML-IAP": mliap,
    "i-PI": ipi,
    "OpenMM": openmm,
    "torch-sim": torch_sim,
    "Dask": dask,
}
