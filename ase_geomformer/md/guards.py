"""Guards that stop a run when it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell

from ase_geomformer.md.simulation import Simulation


class RunStopped(Exception):
    """A guard ended the run; the message is the reason."""


def check_guards(simulation: Simulation) -> None:
    """Ask every guard; raise RunStopped with the first reason given."""
    memory = simulation.guard_memory
    for guard in GUARDS:
        reason = guard(simulation, memory.values)
        if reason is not None:
            raise RunStopped(
                f"stopped at step {simulation.step} ({simulation.time_fs:g} fs): {reason}. "
                "Check the initial structure, the time step, and whether the potential "
                "is meant for such structures."
            )
    memory.keep(simulation.step, simulation.atoms)


def _finite(simulation: Simulation, _: dict[str, Any]) -> str | None:
    if not simulation.settings.guards.finite:
        return None
    atoms = simulation.atoms
    energy = atoms.get_potential_energy()
    if not np.isfinite(energy):
        return f"the potential energy is {energy} eV"
    for name, values in {"forces": simulation.forces(), "positions": atoms.positions}.items():
        finite = np.isfinite(values)
        if not finite.all():
            bad = np.flatnonzero(~finite.all(axis=1))
            first = _name(atoms, bad[0])
            return f"the {name} of {bad.size} of {len(atoms)} atoms are not finite (first: {first})"
    return None


def _closest_pair(simulation: Simulation, _: dict[str, Any]) -> str | None:
    limit = simulation.settings.guards.min_distance_A
    if limit is None or simulation.step % simulation.settings.guards.pair_interval:
        return None
    atoms = simulation.atoms
    i, j, distances = _pairs("ijd", atoms, limit)
    if not distances.size:
        return None
    k = int(distances.argmin())
    pair = f"{_name(atoms, i[k])} and {_name(atoms, j[k])}"
    return f"{pair} are {distances[k]:.3f} Å apart, less than guards.min_distance_A = {limit:g}"


def _largest_force(simulation: Simulation, _: dict[str, Any]) -> str | None:
    limit = simulation.settings.guards.max_force_eV_per_A
    if limit is None:
        return None
    sizes = np.linalg.norm(simulation.forces(), axis=1)
    if sizes.max() <= limit:
        return None
    first = _name(simulation.atoms, sizes.argmax())
    return (
        f"the force on {first} is {sizes.max():.3g} eV/Å, more than "
        f"guards.max_force_eV_per_A = {limit:g}"
    )


def _temperature(simulation: Simulation, _: dict[str, Any]) -> str | None:
    return _window(simulation, "temperature", "K", simulation.temperature())


def _pressure(simulation: Simulation, _: dict[str, Any]) -> str | None:
    if not simulation.ensemble.has_barostat:
        return None
    return _window(simulation, "pressure", "GPa", simulation.pressure_GPa())


def _drift(simulation: Simulation, memory: dict[str, Any]) -> str | None:
    settings = simulation.settings
    limit = settings.guards.max_drift_meV_per_atom_per_ps
    steps = max(1, round(settings.guards.drift_window_fs / settings.timestep_fs))
    if limit is None or simulation.step % steps:
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


def _lost_atom(simulation: Simulation, memory: dict[str, Any]) -> str | None:
    limit = simulation.settings.guards.max_gap_A
    if limit is None or simulation.step % simulation.settings.guards.pair_interval:
        return None
    atoms = simulation.atoms
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


def _forces_spread(simulation: Simulation, _: dict[str, Any]) -> str | None:
    limit = simulation.settings.guards.max_forces_spread_eV_per_A
    if limit is None:
        return None
    atoms = simulation.atoms
    spread = atoms.calc.results["forces_spread"]
    if spread.max() <= limit:
        return None
    return (
        f"the committee's forces on {_name(atoms, spread.argmax())} differ by {spread.max():.3g} "
        f"eV/Å, more than guards.max_forces_spread_eV_per_A = {limit:g}"
    )


def _extrapolation(simulation: Simulation, _: dict[str, Any]) -> str | None:
    limit = simulation.settings.guards.max_extrapolation
    if limit is None or simulation.step % simulation.settings.guards.pair_interval:
        return None
    atoms = simulation.atoms
    grades = atoms.calc.get_property("extrapolation", atoms)
    if grades.max() <= limit:
        return None
    return (
        f"the surroundings of {_name(atoms, grades.argmax())} are unlike the training data: "
        f"extrapolation grade {grades.max():.3g}, more than guards.max_extrapolation = {limit:g}"
    )


def _window(simulation: Simulation, quantity: str, unit: str, value: float) -> str | None:
    name = f"{quantity}_{unit}"
    low = getattr(simulation.settings.guards, f"min_{name}")
    high = getattr(simulation.settings.guards, f"max_{name}")
    if low is not None and not value >= low:
        return f"the {quantity} is {value:.4g} {unit}, less than guards.min_{name} = {low:g}"
    if high is not None and not value <= high:
        return f"the {quantity} is {value:.4g} {unit}, more than guards.max_{name} = {high:g}"
    return None


def _pairs(quantities: str, atoms: Atoms, cutoff: float) -> Any:
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
GUARDS: tuple[Callable[[Simulation, dict[str, Any]], str | None], ...] = (
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
