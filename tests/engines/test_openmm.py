"""Potentials as forces of OpenMM."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule

from ase_geomformer.calculator import PotentialCalculator

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
if not hasattr(openmm, "PythonForce"):
    pytest.skip("OpenMM is older than 8.5", allow_module_level=True)

from openmm import app, unit  # noqa: E402

from ase_geomformer.engines.openmm import PotentialForce, openmm_force  # noqa: E402

ETHANOL = "so3krates-rmd17-ethanol"
EXACT = {"dtype": "float64", "compile": False}
KJ = units.mol / units.kJ


def topology_of(atoms: Atoms) -> app.Topology:
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for symbol in atoms.symbols:
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors(atoms.cell.array / 10.0 * unit.nanometer)
    return topology


def system_of(atoms: Atoms) -> openmm.System:
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if atoms.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(atoms.cell.array / 10.0))
    return system


def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def context_of(system: openmm.System, atoms: Atoms, timestep_ps: float = 0.0005) -> openmm.Context:
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(timestep_ps), platform)
    context.setPositions(atoms.positions / 10.0)
    return context


def found(context: openmm.Context) -> tuple[float, np.ndarray]:
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True)
    return energy, forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer)


def check(context: openmm.Context, atoms: Atoms, potential: str) -> None:
    energy, forces = found(context)
    atoms.calc = PotentialCalculator(potential, **EXACT)
    assert energy == pytest.approx(atoms.get_potential_energy() * KJ, rel=1e-12)
    np.testing.assert_allclose(forces, atoms.get_forces() * KJ * 10.0, atol=1e-5)


def test_an_open_molecule():
    atoms, system = ethanol(), system_of(ethanol())
    system.addForce(openmm_force(ETHANOL, topology_of(atoms), **EXACT))
    check(context_of(system, atoms), atoms, ETHANOL)


def test_a_crystal_and_a_barostat():
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=2)
    system = system_of(atoms)
    system.addForce(openmm_force("so3krates-mlearn-si", topology_of(atoms), **EXACT))
    context = context_of(system, atoms)
    check(context, atoms, "so3krates-mlearn-si")
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0, 1))
    moved = context_of(system, atoms)
    moved.getIntegrator().step(3)
    assert np.isfinite(found(moved)[0])


def test_some_of_the_particles():
    atoms = ethanol()
    both = atoms + Atoms("He", [[0, 0, 8.0]])
    system = system_of(both)
    particles = range(len(atoms))
    system.addForce(openmm_force(ETHANOL, topology_of(both), particles, **EXACT))
    energy, forces = found(context_of(system, both))
    atoms.calc = PotentialCalculator(ETHANOL, **EXACT)
    assert energy == pytest.approx(atoms.get_potential_energy() * KJ, rel=1e-12)
    np.testing.assert_allclose(forces[:-1], atoms.get_forces() * KJ * 10.0, atol=1e-5)
    assert (forces[-1] == 0.0).all()


def test_a_molecule_in_a_box_may_see_no_images():
    atoms = ethanol()
    boxed = atoms.copy()
    boxed.set_cell([6.0, 6.0, 6.0])
    boxed.pbc = True
    system = system_of(boxed)
    force = openmm_force(ETHANOL, topology_of(boxed), periodic=False, **EXACT)
    assert not force.usesPeriodicBoundaryConditions()
    system.addForce(force)
    check(context_of(system, boxed), atoms, ETHANOL)


def test_a_serialised_system_is_the_same_and_holds_no_weights():
    atoms, system = ethanol(), system_of(ethanol())
    system.addForce(openmm_force(ETHANOL, topology_of(atoms), **EXACT))
    text = openmm.XmlSerializer.serialize(system)
    assert len(text) < 20_000
    again = openmm.XmlSerializer.deserialize(text)
    assert found(context_of(again, atoms))[0] == found(context_of(system, atoms))[0]
    force = PotentialForce(ETHANOL, atoms.numbers, keywords=EXACT)
    force._structure()
    assert len(pickle.dumps(force)) < 2000


def test_energy_is_conserved():
    atoms, system = ethanol(), system_of(ethanol())
    system.addForce(openmm_force(ETHANOL, topology_of(atoms), **EXACT))
    context = context_of(system, atoms, timestep_ps=0.0001)
    rows = []
    for _ in range(10):
        context.getIntegrator().step(3)
        state = context.getState(energy=True)
        parts = state.getPotentialEnergy(), state.getKineticEnergy()
        rows.append([part.value_in_unit(unit.kilojoule_per_mole) for part in parts])
    potential, kinetic = np.array(rows).T
    assert np.ptp(potential) > 10.0
    assert np.ptp(potential + kinetic) < 0.02 * np.ptp(potential)


class TestRefused:
    def test_an_unknown_element(self):
        with pytest.raises(ValueError, match="does not know Cu"):
            openmm_force(ETHANOL, topology_of(Atoms("Cu")))

    def test_no_particles(self):
        with pytest.raises(ValueError, match="no particle"):
            openmm_force(ETHANOL, topology_of(ethanol()), [])

    def test_an_unknown_potential(self):
        with pytest.raises(FileNotFoundError):
            openmm_force("nothing-of-this-name", topology_of(ethanol()))
