"""Input of LAMMPS: the commands of a run."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ase import Atoms, units

from ase_geomformer.engines.lammps.settings import LammpsSettings
from ase_geomformer.engines.lammps.structure import atom_types
from ase_geomformer.machine.files import atomic_file

DATA_FILE = "structure.data"
INPUT_FILE = "in.lammps"
THERMO_FILE = "thermo.txt"
DUMP_FILE = "frames.lammpstrj"
# Where the potential is attached, in the input.
HERE = "# the potential is attached here"
# What is logged: keywords of LAMMPS, in the order of the columns.
THERMO = ("step", "pe", "ke", "etotal", "econserve", "temp", "press", "vol", "cpu")
# LAMMPS' restart files: two in turns, and one at the end, from which a finished run continues.
RESTART_FILES = ("restart.1", "restart.2", "restart.end")
_RESTART_END = b"LammpS RestartT\0"
_TITLE = "# " + " ".join(THERMO)
_STYLES = {"isotropic": "iso", "axes": "aniso", "full": "tri"}


def last_restart(folder: Path) -> str | None:
    """The newest restart file that was written to its end; None if there is none."""
    found = [path for name in RESTART_FILES if (path := folder / name).is_file()]
    whole = [path for path in found if _ends_well(path)]
    return max(whole, key=lambda path: path.stat().st_mtime_ns).name if whole else None


def _ends_well(path: Path) -> bool:
    """Whether a restart file ends as LAMMPS ends it, and not where a process was killed."""
    size = len(_RESTART_END)
    if path.stat().st_size < 2 * size:
        return False
    with path.open("rb") as file:
        file.seek(-size, 2)
        return file.read() == _RESTART_END


def commands(atoms: Atoms, settings: LammpsSettings, restart: str | None = None) -> str:
    """The input of a run of these atoms, or of one that continues from a restart file."""
    boundary = " ".join("p" if periodic else "s" for periodic in atoms.pbc)
    picoseconds = settings.timestep_fs / 1000.0
    begin = [f"read_data {DATA_FILE}", *atom_types(atoms).commands()]
    if restart:
        begin = [f"read_restart {restart}"]
    lines = [
        "units metal",
        "atom_style atomic",
        f"boundary {boundary}",
        *begin,
        HERE,
        f"timestep {picoseconds:.10g}",
    ]
    if not restart and not atoms.has("momenta"):
        temperature, seed = settings.temperature_K, settings.seed
        lines.append(f"velocity all create {temperature:.10g} {seed} mom yes rot no loop geom")
    values = " ".join(f"$({name}:%.17g)" for name in THERMO)
    log, frames = settings.log_interval, settings.trajectory_interval
    kept = "append" if restart else "file"
    lines += [
        f"fix move all {_integrator(settings)}",
        f"thermo {log}",
        "thermo_style custom step temp pe etotal press vol cpu",
        f"thermo_modify flush yes line one{'' if atoms.pbc.all() else ' lost error'}",
        f'fix log all print {log} "{values}" {kept} {THERMO_FILE} screen no title "{_TITLE}"',
        f"dump frames all custom {frames} {DUMP_FILE} id type xu yu zu vx vy vz fx fy fz",
        "dump_modify frames sort id format float %.17g flush yes"
        + (" append yes" if restart else ""),
        f"restart {settings.checkpoint_interval} {' '.join(RESTART_FILES[:2])}",
        f"run {settings.steps} upto",
        f"write_restart {RESTART_FILES[2]}",
    ]
    return "\n".join(lines) + "\n"


def cut_back(folder: Path, step: int) -> None:
    """Drop what was logged and dumped at a step and after it: a resumed run writes it again."""
    log, dump = folder / THERMO_FILE, folder / DUMP_FILE
    if log.is_file():
        kept = [line for line in log.open("rb") if line.endswith(b"\n") and _before(line, step)]
        with atomic_file(log) as temporary:
            temporary.write_bytes(b"".join(kept))
    if dump.is_file():
        with dump.open("r+b") as file:
            file.truncate(_length_before(file, step))


def _before(line: bytes, step: int) -> bool:
    """Whether a line of the log is a title or of an earlier step."""
    return line.startswith(b"#") or float(line.split()[0]) < step


def _length_before(file: BinaryIO, step: int) -> int:
    """Bytes of the frames of a dump before a step; frames begin with a title and their step."""
    place = 0
    for line in file:
        if line.startswith(b"ITEM: TIMESTEP"):
            number = file.readline()
            if not number.endswith(b"\n") or int(number) >= step:
                return place
            place += len(number)
        place += len(line)
    return place


def _integrator(settings: LammpsSettings) -> str:
    if settings.ensemble == "nve":
        return "nve"
    begin = settings.temperature_K
    end = settings.temperature_end_K or begin
    thermostat = f"temp {begin:.10g} {end:.10g} {settings.thermostat_time_fs / 1000.0:.10g}"
    if settings.ensemble == "nvt":
        return f"nvt {thermostat}"
    bar = settings.pressure_GPa * units.GPa / units.bar
    time = settings.barostat_time_fs / 1000.0
    return f"npt {thermostat} {_STYLES[settings.barostat]} {bar:.10g} {bar:.10g} {time:.10g}"
