"""What each MPI process of a run does: ``mpiexec -n N python -m <this module> FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ase_geomformer.engines.lammps.attach import attach, start
from ase_geomformer.engines.lammps.collect import collect
from ase_geomformer.engines.lammps.inputs import HERE, INPUT_FILE, cut_back
from ase_geomformer.machine.bounded import read_json

JOB_FILE = "job.json"


def run(folder: Path) -> None:
    """Run the input in a folder; the first process makes the run's files of what LAMMPS leaves."""
    job: dict[str, Any] = read_json(folder / JOB_FILE)
    before, after = (folder / INPUT_FILE).read_text(encoding="utf-8").split(HERE)
    os.chdir(folder)
    lmp = start(["-screen", "none", "-log", "log.lammps"])
    lmp.commands_string(before)
    attached = attach(lmp, job["potential"], job["elements"], **job["attach"])
    first = lmp.extract_setting("world_rank") == 0
    if job["restart"] and first:
        cut_back(Path(), lmp.extract_global("ntimestep"))
    # Its first command that writes waits for the first process, as all that follow do.
    lmp.commands_string(after)
    lmp.close()
    if first:
        collect(folder, attached.evaluator.prepared)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
