"""The files of a run made of what LAMMPS leaves: log, trajectory, figure and result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.engines.lammps.inputs import DUMP_FILE, THERMO_FILE
from ase_geomformer.engines.lammps.settings import LammpsSettings
from ase_geomformer.engines.lammps.structure import boxed, rotation
from ase_geomformer.machine.bounded import read_yaml
from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.md.figure import plot
from ase_geomformer.md.result import MDResult, averages, drift
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runs.folder import FINAL_FILES, SETTINGS_FILE, write_result
from ase_geomformer.runs.provenance import provenance
from ase_geomformer.runs.style import save_figure
from ase_geomformer.runtime.prepared import PreparedPotential
from ase_geomformer.settings.plain import settings_from

START_FILE = "start.traj"
LOG_FILE = "log.csv"
TRAJECTORY_FILE = "trajectory.traj"
FIGURE_FILE = "md.png"
# The files of a run, all but settings and result.
FILES = (START_FILE, LOG_FILE, TRAJECTORY_FILE, FIGURE_FILE, *FINAL_FILES)


def collect(folder: Path, prepared: PreparedPotential) -> MDResult:
    """Write log, trajectory, last structure, figure and result into the folder of a run."""
    stored = read_yaml(folder / SETTINGS_FILE)
    known = LammpsSettings.__dataclass_fields__
    settings: LammpsSettings = settings_from(
        "lammps", LammpsSettings, {name: stored[name] for name in known if name in stored}
    )
    start = read_checked(folder / START_FILE, "-1")[0]
    log, wall_time = read_thermo(folder / THERMO_FILE, settings.timestep_fs)
    with atomic_file(folder / LOG_FILE) as temporary:
        np.savetxt(
            temporary,
            np.stack(list(log.values()), axis=1),
            delimiter=",",
            header=",".join(log),
            comments="",
            fmt=["%d", *["%.17g"] * (len(log) - 1)],
        )
    frames = read_frames(folder / DUMP_FILE, start, settings, log)
    with atomic_file(folder / TRAJECTORY_FILE) as temporary, Trajectory(temporary, "w") as file:
        for atoms in frames:
            file.write(atoms)
    last = frames[-1]
    for name in FINAL_FILES:
        with atomic_file(folder / name) as temporary:
            last.write(temporary)
    skipped = settings.equilibration_steps
    shown = MDSettings(steps=settings.steps, equilibration_steps=0, log_interval=1)
    save_figure(plot(log, shown), folder / FIGURE_FILE)
    made = int(log["step"][-1])
    result = MDResult(
        completed=made >= settings.steps - settings.steps % settings.log_interval,
        reason=f"all {settings.steps} steps were made by LAMMPS on {settings.processes} processes",
        wall_time=wall_time,
        output=folder,
        steps=settings.steps,
        timestep_fs=settings.timestep_fs,
        degrees_of_freedom=3 * len(last) - 3,
        initial_velocities="structure" if start.has("momenta") else "drawn",
        averages=averages(log, skipped),
        drift_meV_per_atom_per_ps=drift(log, skipped, len(last)),
        log=log,
        atoms=last,
    )
    calculator = PotentialCalculator(prepared)
    origin = provenance(calculator, seed=settings.seed, atoms=start)
    write_result(folder, {**result.summary(), "provenance": origin})
    return result


def read_thermo(path: Path, timestep_fs: float) -> tuple[dict[str, np.ndarray], float]:
    """The log of a run by column, as those of ``md`` are called, and the seconds that it took.

    LAMMPS' clock begins anew where a run was resumed.
    """
    step, potential, kinetic, total, conserved, temperature, pressure, volume, clock = np.loadtxt(
        path, ndmin=2
    ).T
    ends = np.append(np.flatnonzero(np.diff(clock) < 0.0), len(clock) - 1)
    log = {
        "step": step,
        "time_fs": step * timestep_fs,
        "potential_energy_eV": potential,
        "kinetic_energy_eV": kinetic,
        "total_energy_eV": total,
        "conserved_energy_eV": conserved,
        "temperature_K": temperature,
        "pressure_GPa": pressure * units.bar / units.GPa,
        "volume_A3": volume,
    }
    return log, float(clock[ends].sum())


def read_frames(
    path: Path, start: Atoms, settings: LammpsSettings, log: dict[str, np.ndarray]
) -> list[Atoms]:
    """The frames that LAMMPS dumped, in the orientation and the order of the first structure.

    Energies are those of the log, where it has the step.
    """
    prism = rotation(boxed(start))
    energies = dict(zip(log["step"].astype(int).tolist(), log["potential_energy_eV"], strict=True))
    found = read_checked(path, format="lammps-dump-text", order=True)
    frames = []
    for index, raw in enumerate(found):
        atoms = start.copy()
        if start.cell.rank == 3:
            atoms.set_cell(prism.vector_to_ase(raw.cell.array))
        place = raw.positions - raw.get_celldisp().ravel()
        atoms.set_positions(prism.vector_to_ase(place), apply_constraint=False)
        velocities = raw.get_velocities()
        atoms.set_velocities(prism.vector_to_ase(velocities))
        forces = prism.vector_to_ase(raw.get_forces())
        results = {"forces": forces}
        step = index * settings.trajectory_interval
        if step in energies:
            results["energy"] = energies[step]
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames
