"""Checks of consistency: precision, batches, neighbour lists, repetition and the card."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ase_geomformer.acceleration.tables import can_tabulate
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint.folder import CheckpointError, verify
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.trust.check import Figure, NotApplicableError, check
from ase_geomformer.trust.limits import LIMITS
from ase_geomformer.trust.symmetry import differences
from ase_geomformer.trust.system_under_test import SystemUnderTest

GOLDEN_LIMIT = 1e-8
# What tables are made to keep on their probe structures.
TABLE_ENERGY, TABLE_FORCES = 1e-6, 1e-5


def _ours(system: SystemUnderTest) -> PotentialCalculator:
    if system.ours is None:
        raise NotApplicableError("the calculator is not one of this package's potentials")
    return system.ours


@check("repetition")
def repetition(system: SystemUnderTest) -> Iterator[Figure]:
    """Results are reproducible, and the structure is not modified."""
    atoms = system.atoms.copy()
    if hasattr(system.calculator, "reset"):
        system.calculator.reset()
    energy, forces = system.energy(atoms), system.forces(atoms)
    yield from differences(system, energy, forces)
    changed = sum(
        not np.array_equal(value, atoms.arrays.get(name))
        for name, value in system.atoms.arrays.items()
    )
    changed += not np.array_equal(atoms.cell.array, system.atoms.cell.array)
    yield Figure("arrays changed", float(changed), "", 0.0)


@check("float32 and float64")
def precisions(system: SystemUnderTest) -> Iterator[Figure]:
    """Single precision is close to double precision."""
    calculator = _ours(system)
    found = {}
    for dtype in ("float32", "float64"):
        other = PotentialCalculator(calculator.prepared, dtype=dtype)
        atoms = system.atoms.copy()
        found[dtype] = (
            other.get_property("energy", atoms) / len(atoms),
            other.get_property("forces", atoms),
        )
    (energy, forces), (exact_energy, exact_forces) = found["float32"], found["float64"]
    limits = LIMITS["float32"]
    yield Figure("energy", abs(energy - exact_energy), "eV/atom", limits.energy)
    yield Figure("forces", float(np.abs(forces - exact_forces).max()), "eV/Å", limits.forces)


@check("radial tables")
def tables(system: SystemUnderTest) -> Iterator[Figure]:
    """Radial tables agree with the networks they replace."""
    prepared = _ours(system).prepared
    if not can_tabulate(prepared.potential):
        raise NotApplicableError("the architecture has no filters of the distance alone")
    found = [
        PotentialCalculator(prepared, dtype="float64", radial_tables=tables)
        for tables in (True, False)
    ]
    energies, forces = (
        [calculator.get_property(name, system.atoms) for calculator in found]
        for name in ("energies", "forces")
    )
    yield Figure("energy", float(np.abs(np.subtract(*energies)).max()), "eV/atom", TABLE_ENERGY)
    yield Figure("forces", float(np.abs(np.subtract(*forces)).max()), "eV/Å", TABLE_FORCES)


@check("batch")
def batch(system: SystemUnderTest) -> Iterator[Figure]:
    """Results in a batch equal those of single structures."""
    evaluate = BatchEvaluator(_ours(system))
    structures = [system.scattered(), system.atoms.copy(), system.scattered(0.1)]
    second = evaluate(structures)[1]
    yield from differences(system, second["energy"], second["forces"])


@check("neighbour list")
def neighbor_list(system: SystemUnderTest) -> Iterator[Figure]:
    """The reused neighbour list (Verlet skin) misses no neighbours."""
    calculator = _ours(system)
    rng = system.rng()
    atoms = system.atoms.copy()
    by_atom = apart = 0.0
    fresh = PotentialCalculator(calculator.prepared, skin=0.0)
    for _ in range(10):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        if atoms.pbc.all():
            atoms.set_cell(atoms.cell.array * (1 - 0.01 * rng.random()), scale_atoms=True)
        kept = calculator.get_property("energy", atoms), calculator.get_property("forces", atoms)
        energy, forces = fresh.get_property("energy", atoms), fresh.get_property("forces", atoms)
        by_atom = max(by_atom, abs(kept[0] - energy) / len(atoms))
        apart = max(apart, float(np.abs(kept[1] - forces).max()))
    yield Figure("energy", by_atom, "eV/atom", system.limits.energy)
    yield Figure("forces", apart, "eV/Å", system.limits.forces)


@check("golden vectors")
def golden(system: SystemUnderTest) -> Iterator[Figure]:
    """The potential reproduces the reference values (golden vectors) of its card."""
    potential = _ours(system).potential
    try:
        found = verify(potential)
    except CheckpointError as error:
        raise NotApplicableError(str(error)) from error
    yield Figure("energy", found["energy_eV_per_atom"], "eV/atom", GOLDEN_LIMIT)
    yield Figure("forces", found["forces_eV_per_A"], "eV/Å", GOLDEN_LIMIT)
