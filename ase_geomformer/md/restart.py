"""The restart file, from which a run continues exactly, to the last bit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import dict2constraint
from ase.io.jsonio import decode, encode

from ase_geomformer.machine.bounded import parse_json, read_arrays
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.machine.memory import free_host_memory
from ase_geomformer.md import constraints
from ase_geomformer.md.ensembles import ENSEMBLES
from ase_geomformer.md.guard_memory import GuardMemory
from ase_geomformer.md.integrators import INTEGRATORS
from ase_geomformer.md.restart_facts import check_arrays, check_facts, check_results
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation, as_calculator, check_spread, reset
from ase_geomformer.runs.provenance import evaluation
from ase_geomformer.runs.same import check_same

VERSION = 1
# What a resumed run may do otherwise than before: how long it is, and what it writes and minds.
FREE = {
    "steps", "equilibration_steps", "log_interval", "trajectory_interval", "checkpoint_interval",
    "guards", "harvest",
}  # fmt: skip
# Settings, constraints and ``info``, at four bytes per letter.
FACTS_BYTES = 2**26
# Energies per atom this far apart are of different potentials, not of different machines.
_SAME_ENERGY_EV = 1e-3


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a restart file holds.

    Attributes
    ----------
    facts : dict
        Everything that is not an array: step, settings, random state, offsets, lengths of the
        files.
    arrays : dict of str to dict of str to array
        By what they belong to: "atoms", "results" of the calculator, "integrator", "guards",
        "manifold" of the constraints.
    path : path, optional
        Where it was read, for errors.
    """

    facts: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]
    path: Path | None = None

    @property
    def settings(self) -> MDSettings:
        return MDSettings(**self.facts["settings"])

    def atoms(self) -> Atoms:
        """The structure, with momenta and constraints."""
        arrays = dict(self.arrays["atoms"])
        atoms = Atoms(
            numbers=arrays.pop("numbers"),
            positions=arrays.pop("positions"),
            cell=arrays.pop("cell"),
            pbc=arrays.pop("pbc"),
            info=decode(self.facts["info"]),
        )
        for name, values in arrays.items():
            atoms.set_array(name, values)
        entries = decode(json.dumps(self.facts["constraints"]))
        atoms.set_constraint([dict2constraint(entry) for entry in entries])
        return atoms


def save(path: Path, simulation: Simulation, files: Mapping[str, Any], wall_time: float) -> None:
    """Write the restart file, atomically.

    Parameters
    ----------
    path : path
    simulation : Simulation
    files : mapping
        Lengths of the run's files, to cut them back to when the run resumes.
    wall_time : float
        Seconds that the run has taken so far.
    """
    checkpoint = snapshot(simulation, files, wall_time)
    write(path, checkpoint.facts, flat(checkpoint))


def snapshot(simulation: Simulation, files: Mapping[str, Any], wall_time: float) -> Checkpoint:
    """What the restart file of a simulation holds; see :func:`save`."""
    atoms, dynamics = simulation.atoms, simulation.dynamics
    facts = {
        "version": VERSION,
        "step": simulation.step,
        "settings": asdict(simulation.settings),
        "random_state": simulation.rng.bit_generator.state,
        "degrees_of_freedom": simulation.degrees_of_freedom,
        "initial_velocities": simulation.initial_velocities,
        "conserved_offset_eV": simulation.conserved_offset,
        "exchanged_temperature_K": simulation.exchanged_temperature_K,
        "exchanges": simulation.exchanges,
        "wall_time_s": wall_time,
        "info": encode(_encodable(atoms.info)),
        "constraints": json.loads(encode([entry.todict() for entry in atoms.constraints])),
        "files": dict(files),
        "evaluation": evaluation(atoms.calc, atoms),
    }
    arrays = {
        "atoms": {**atoms.arrays, "cell": atoms.cell.array, "pbc": atoms.pbc},
        "results": _numbers(getattr(atoms.calc, "results", {})),
        "integrator": INTEGRATORS[type(dynamics).__name__].save(dynamics),
        "guards": simulation.guard_memory.values,
        "manifold": simulation.manifold.state() if simulation.manifold else {},
    }
    return Checkpoint(facts, arrays)


def write(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write facts and arrays into one file, atomically."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave an empty file under the name


def flat(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint under one name each."""
    return {
        f"{group}/{name}": values
        for group, held in checkpoint.arrays.items()
        for name, values in held.items()
    }


def load(path: Path) -> Checkpoint:
    """Read a restart file.

    Raises
    ------
    ValueError
        If it is none.
    """
    facts, found = read(path)
    return assemble(facts, found, path)


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of a file that :func:`write` wrote; ValueError if it is none."""
    try:
        found = read_arrays(path, free_host_memory() / 3)
        facts = parse_json(_facts_text(found.pop("facts")))
    except Exception as error:  # numpy, zipfile and json each have their own
        raise ValueError(f"{path} is not a restart file of molecular dynamics: {error}") from error
    if not isinstance(facts, dict) or "version" not in facts:
        raise ValueError(f"{path} is not a restart file of molecular dynamics: it has no version")
    number = facts["version"]
    if number != VERSION or type(number) is not int:
        raise ValueError(
            f"{path} has version {str(number)[:60]}, but this program reads version {VERSION}"
        )
    return facts, found


def _facts_text(stored: np.ndarray) -> bytes:
    if stored.dtype.kind != "U" or stored.ndim or stored.nbytes > FACTS_BYTES:
        raise ValueError(f"its facts are an array of {stored.nbytes} bytes, not a text")
    return str(stored).encode()


def assemble(facts: Any, found: Mapping[str, np.ndarray], path: Path) -> Checkpoint:
    """A checkpoint of its facts and of arrays as :func:`flat` names them.

    Raises
    ------
    ValueError
        If one of them is missing, or not what it must be.
    """
    arrays: dict[str, dict[str, np.ndarray]] = {
        group: {} for group in ("atoms", "results", "integrator", "guards", "manifold")
    }
    checkpoint = Checkpoint(facts, arrays, path)
    with sound(path):
        for name, values in found.items():
            group, _, entry = name.partition("/")
            arrays[group][entry] = values
        check_facts(facts)
        check_arrays(arrays)
        checkpoint.atoms()
    return checkpoint


@contextmanager
def sound(path: Path | None) -> Iterator[None]:
    """What fails here, fails because of the restart file, and says so."""
    try:
        yield
    except Exception as error:  # of NumPy and ASE, which take what they are given
        raise ValueError(
            f"{path} is damaged, or was changed, and cannot be resumed: {error}"
        ) from error


def resume(checkpoint: Checkpoint, calculator: Any, settings: MDSettings) -> Simulation:
    """The simulation as it was when it was saved.

    Raises
    ------
    ValueError
        If settings that must not change do, or the calculator is of another potential.
    """
    # Runs with calculators of other packages need no torch, unless they resume.
    from ase_geomformer.runtime.evaluation import as_before

    facts = checkpoint.facts
    check_same_settings(facts["settings"], settings, facts["step"])
    atoms = checkpoint.atoms()
    atoms.calc = as_before(as_calculator(calculator), atoms, facts.get("evaluation"))
    check_spread(atoms.calc, settings)
    rng = np.random.default_rng()
    number = facts["degrees_of_freedom"]
    with sound(checkpoint.path):
        manifold = constraints.manifold_of(atoms)
        if manifold is not None:
            manifold.restore(checkpoint.arrays["manifold"])
    reset(atoms)
    with sound(checkpoint.path):
        check_results(atoms.calc.results, checkpoint.arrays["results"])
    _restore_results(atoms, checkpoint.arrays["results"])
    dynamics = ENSEMBLES[settings.ensemble].build(atoms, settings, rng, number, manifold)
    dynamics.nsteps = facts["step"]
    with sound(checkpoint.path):
        INTEGRATORS[type(dynamics).__name__].restore(dynamics, checkpoint.arrays["integrator"])
    rng.bit_generator.state = facts["random_state"]
    simulation = Simulation(
        settings,
        dynamics,
        rng,
        number,
        facts["initial_velocities"],
        manifold,
        GuardMemory(checkpoint.arrays["guards"]),
        facts["conserved_offset_eV"],
        facts["wall_time_s"],
        facts.get("exchanged_temperature_K"),
        facts.get("exchanges", False),
    )
    simulation.resume_target()
    return simulation


def check_structure(checkpoint: Checkpoint, atoms: Atoms | None) -> None:
    """Refuse to resume a run of other atoms than the given ones."""
    saved = checkpoint.atoms()
    if atoms is not None and not np.array_equal(atoms.numbers, saved.numbers):
        raise ValueError(
            f"the run to resume is of {saved.get_chemical_formula()}, and the structure given is "
            f"{atoms.get_chemical_formula()}, or the same atoms in another order"
        )


def check_same_settings(before: Mapping[str, Any], now: MDSettings, step: int) -> None:
    """Refuse to resume, from a step, with settings that a run cannot change on its way."""
    # A ramp of the temperature goes by the number of steps.
    check_same(before, now, free=FREE if now.temperature_end_K is None else FREE - {"steps"})
    if now.steps < step:
        raise ValueError(f"steps = {now.steps}, but the run to resume has already made {step}")


def _restore_results(atoms: Atoms, saved: Mapping[str, np.ndarray]) -> None:
    """Give the calculator the very results it had, after checking that they are its own.

    Another number of threads, or a GPU, may change the last bits of a sum.
    """
    # Of the calculator alone: constraints may add to the energy of the atoms.
    energy = float(atoms.get_potential_energy(apply_constraint=False))
    before = float(saved.get("energy", energy))
    if abs(energy - before) > _SAME_ENERGY_EV * len(atoms):
        raise ValueError(
            f"the calculator gives {energy:.6f} eV for the structure saved, and the run to resume "
            f"had {before:.6f} eV; resume it with the potential it was started with, and with "
            "long_range published if it has long-range terms and its settings.yaml does not say"
        )
    for name, values in saved.items():
        atoms.calc.results[name] = values.copy() if values.ndim else values.item()


def _numbers(results: Mapping[str, Any]) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in results.items() if value is not None}
    return {name: values.copy() for name, values in arrays.items() if values.dtype.kind in "fiub"}


def _encodable(info: Mapping[Any, Any]) -> dict[str, Any]:
    """The entries that can be written; charge and spin, which count, are numbers."""
    kept = {}
    for key, value in info.items():
        try:
            encode(value)
        except TypeError:
            continue
        if isinstance(key, str):
            kept[key] = value
    return kept
