"""Guards that stop a run when it fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from scipy.spatial.distance import cdist

from ase_geomformer.machine.finite import all_finite, sum_of_squares
from ase_geomformer.md.guard_settings import GuardSettings
from ase_geomformer.md.simulation import Simulation

# Of so many atoms without periodic boundaries all distances take less time than a search.
FEW_ATOMS = 24


class RunStopped(Exception):
    """A guard ended the run; the message is the reason."""


class Present:
    """The present step as guards see it; what several of them ask for is computed once."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.atoms = simulation, simulation.atoms
        self.step = simulation.step
        self.limits: GuardSettings = simulation.settings.guards

    @cached_property
    def forces(self) -> np.ndarray:
        """Forces (N, 3) in eV/Å."""
        return self.simulation.forces()

    @property
    def checks_pairs(self) -> bool:
        """Whether distances are looked at in this step."""
        return self.step % self.limits.pair_interval == 0


def check_guards(simulation: Simulation) -> None:
    """Ask every guard; raise RunStopped with the first reason given."""
    memory, now = simulation.guard_memory, Present(simulation)
    for guard in GUARDS:
        reason = guard(now, memory.values)
        if reason is not None:
            raise RunStopped(
                f"stopped at step {simulation.step} ({simulation.time_fs:g} fs): {reason}. "
                "Check the initial structure, the time step, and whether the potential "
                "is meant for such structures."
            )
    memory.keep(now.step, now.atoms)


def _finite(now: Present, _: dict[str, Any]) -> str | None:
    if not now.limits.finite:
        return None
    atoms = now.atoms
    energy = atoms.get_potential_energy()
    if not math.isfinite(energy):
        return f"the potential energy is {energy} eV"
    for name, values in {"forces": now.forces, "positions": atoms.positions}.items():
        if not all_finite(values):
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            first = _name(atoms, bad[0])
            return f"the {name} of {bad.size} of {len(atoms)} atoms are not finite (first: {first})"
    return None


def _closest_pair(now: Present, _: dict[str, Any]) -> str | None:
    limit = now.limits.min_distance_A
    if limit is None or not now.checks_pairs:
        return None
    atoms = now.atoms
    i, j, distances = _pairs("ijd", atoms, limit)
    if not distances.size:
        return None
    k = int(distances.argmin())
    pair = f"{_name(atoms, i[k])} and {_name(atoms, j[k])}"
    return f"{pair} are {distances[k]:.3f} Å apart, less than guards.min_distance_A = {limit:g}"


def _largest_force(now: Present, _: dict[str, Any]) -> str | None:
    limit = now.limits.max_force_eV_per_A
    # No force is larger than all of them together.
    if limit is None or sum_of_squares(now.forces) <= limit * limit:
        return None
    sizes = np.linalg.norm(now.forces, axis=1)
    if sizes.max() <= limit:
        return None
    first = _name(now.atoms, sizes.argmax())
    return (
        f"the force on {first} is {sizes.max():.3g} eV/Å, more than "
        f"guards.max_force_eV_per_A = {limit:g}"
    )


def _temperature(now: Present, _: dict[str, Any]) -> str | None:
    low, high = now.limits.min_temperature_K, now.limits.max_temperature_K
    return _window("temperature", "K", now.simulation.temperature(), low, high)


def _pressure(now: Present, _: dict[str, Any]) -> str | None:
    if not now.simulation.ensemble.has_barostat:
        return None
    low, high = now.limits.min_pressure_GPa, now.limits.max_pressure_GPa
    return _window("pressure", "GPa", now.simulation.pressure_GPa(), low, high)


def _drift(now: Present, memory: dict[str, Any]) -> str | None:
    simulation, settings = now.simulation, now.simulation.settings
    limit = settings.guards.max_drift_meV_per_atom_per_ps
    steps = max(1, round(settings.guards.drift_window_fs / settings.timestep_fs))
    if limit is None or now.step % steps:
        return None
    energy = simulation.conserved_energy()
    if energy is None:
        return None
    before = memory.get("conserved_energy_eV")
    memory["conserved_energy_eV"] = np.array(energy)
    if before is None:
        return None
    window_ps = steps * settings.timestep_fs / 1000.0
    drift = 1000.0 * (energy - float(before)) / len(simulation.atoms) / window_ps
    if abs(drift) <= limit:
        return None
    return (
        f"the conserved energy drifts by {drift:+.3g} meV/atom/ps, more than "
        f"guards.max_drift_meV_per_atom_per_ps = {limit:g}; the time step may be too long"
    )


def _lost_atom(now: Present, memory: dict[str, Any]) -> str | None:
    limit = now.limits.max_gap_A
    if limit is None or not now.checks_pairs:
        return None
    atoms = now.atoms
    has_neighbour = np.zeros(len(atoms), dtype=bool)
    has_neighbour[_pairs("i", atoms, limit)] = True
    had_neighbour = memory.setdefault("had_neighbour", has_neighbour)
    lost = np.flatnonzero(had_neighbour & ~has_neighbour)
    if not lost.size:
        return None
    return (
        f"{_name(atoms, lost[0])} has no neighbour left within guards.max_gap_A = {limit:g}; "
        f"{lost.size} of {len(atoms)} atoms are lost"
    )


def _forces_spread(now: Present, _: dict[str, Any]) -> str | None:
    limit = now.limits.max_forces_spread_eV_per_A
    if limit is None:
        return None
    atoms = now.atoms
    spread = atoms.calc.results["forces_spread"]
    if spread.max() <= limit:
        return None
    return (
        f"the committee's forces on {_name(atoms, spread.argmax())} differ by {spread.max():.3g} "
        f"eV/Å, more than guards.max_forces_spread_eV_per_A = {limit:g}"
    )


def _extrapolation(now: Present, _: dict[str, Any]) -> str | None:
    limit = now.limits.max_extrapolation
    if limit is None or not now.checks_pairs:
        return None
    atoms = now.atoms
    grades = atoms.calc.get_property("extrapolation", atoms)
    if grades.max() <= limit:
        return None
    return (
        f"the surroundings of {_name(atoms, grades.argmax())} are unlike the training data: "
        f"extrapolation grade {grades.max():.3g}, more than guards.max_extrapolation = {limit:g}"
    )


def _window(
    quantity: str, unit: str, value: float, low: float | None, high: float | None
) -> str | None:
    """Whether a value is outside of the limits ``guards.min_...`` and ``guards.max_...``."""
    if low is not None and not value >= low:
        name = f"guards.min_{quantity}_{unit}"
        return f"the {quantity} is {value:.4g} {unit}, less than {name} = {low:g}"
    if high is not None and not value <= high:
        name = f"guards.max_{quantity}_{unit}"
        return f"the {quantity} is {value:.4g} {unit}, more than {name} = {high:g}"
    return None


def _pairs(quantities: str, atoms: Atoms, cutoff: float) -> Any:
    """Indices i, j and distances d of pairs up to a cutoff, of which both directions are there."""
    if len(atoms) <= FEW_ATOMS and not atoms.pbc.any():
        distances = cdist(atoms.positions, atoms.positions)
        np.fill_diagonal(distances, np.inf)
        i, j = np.nonzero(distances <= cutoff)
        found = {"i": i, "j": j, "d": distances[i, j]}
        return found[quantities] if len(quantities) == 1 else [found[name] for name in quantities]
    from matscipy.neighbours import neighbour_list

    return neighbour_list(
        quantities,
        positions=atoms.positions,
        cell=complete_cell(atoms.cell),
        pbc=atoms.pbc,
        cutoff=cutoff,
    )


def _name(atoms: Atoms, index: int | np.integer) -> str:
    return f"{atoms.symbols[int(index)]} atom {index}"


# Each returns a reason to stop, or None; the likelier cause comes before its consequences.
GUARDS: tuple[Callable[[Present, dict[str, Any]], str | None], ...] = (
    _finite,
    _closest_pair,
    _largest_force,
    _forces_spread,
    _extrapolation,
    _temperature,
    _pressure,
    _drift,
    _lost_atom,
)
