"""The files of a set of replicas: one folder, and one restart file for all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.md import restart
from ase_geomformer.md.output import LOG_FILE, OFFENDING_FILE, RESTART_FILE, check_files
from ase_geomformer.md.recorder import columns, read_log
from ase_geomformer.md.replicas.facts import check_set
from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.md.replicas.settings import ReplicaSettings
from ase_geomformer.md.result import MDResult, averages, drift, suggested_equilibration
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runs.extxyz import whole_file
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.same import check_same

FIGURE_FILE = "replicas.png"
# What of the result of a replica that has ended its files do not tell.
_OF_THE_RESULT = ("reason", "steps", "wall_time", "degrees_of_freedom", "initial_velocities")


def replica_folder(folder: Path | None, index: int) -> Path | None:
    """Where a replica's own files are."""
    return None if folder is None else folder / f"replica_{index}"


@dataclass(frozen=True, eq=False)
class SavedSet:
    """What the restart file of a set holds.

    Attributes
    ----------
    facts : dict
        Step, settings, exchanges, time taken, and what is known of replicas that have ended.
    checkpoints : dict of int to Checkpoint
        Those of the replicas still under way.
    """

    facts: dict[str, Any]
    checkpoints: dict[int, restart.Checkpoint]

    def check(
        self, settings: MDSettings, replicas: ReplicaSettings, structures: Sequence[Atoms]
    ) -> None:
        """Refuse to resume another set of replicas; ValueError says how it differs."""
        step = self.facts["step"]
        restart.check_same_settings(self.facts["settings"], settings, step)
        check_same(self.facts["replicas"], replicas)
        each = replicas.each(settings)
        for index, checkpoint in self.checkpoints.items():
            restart.check_same_settings(checkpoint.facts["settings"], each[index], step)
            restart.check_structure(checkpoint, structures[index])


def set_folder(
    output: str | os.PathLike[str] | None, *, resume: bool, overwrite: bool
) -> RunFolder:
    """The folder of a set, checked; nothing is written yet."""
    return RunFolder(
        output, resume=resume, overwrite=overwrite, checkpoint=RESTART_FILE, own=("replica_*",)
    )


def find(folder: RunFolder) -> SavedSet | None:
    """The set to resume from; None if there is none yet.

    Raises
    ------
    FileNotFoundError
        If files of a replica are missing.
    """
    if not folder.resumed or folder.path is None:
        return None
    saved = load(folder.path / RESTART_FILE)
    for index, checkpoint in saved.checkpoints.items():
        check_files(folder.path / f"replica_{index}", checkpoint)
    return saved


def save(path: Path, facts: Mapping[str, Any], live: Mapping[int, restart.Checkpoint]) -> None:
    """Write the restart file of a set, atomically.

    Parameters
    ----------
    path : path
    facts : mapping
        As in :class:`SavedSet`.
    live : mapping of int to Checkpoint
    """
    arrays = {
        f"{index}/{name}": values
        for index, checkpoint in live.items()
        for name, values in restart.flat(checkpoint).items()
    }
    own = {str(index): checkpoint.facts for index, checkpoint in live.items()}
    restart.write(path, {**facts, "version": restart.VERSION, "live": own}, arrays)


def load(path: Path) -> SavedSet:
    """Read the restart file of a set; ValueError if it is none."""
    facts, arrays = restart.read(path)
    if "live" not in facts:
        raise ValueError(f"{path} belongs to a single run; resume it with md --resume")
    with restart.sound(path):
        check_set(facts)
        strange = sorted(name for name in arrays if name.partition("/")[0] not in facts["live"])
        if strange:
            raise ValueError(f"the array {strange[0]} is of no replica under way")
    checkpoints = {}
    for text, own in facts["live"].items():
        prefix = f"{text}/"
        found = {
            name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)
        }
        checkpoints[int(text)] = restart.assemble(own, found, path)
    return SavedSet(facts, checkpoints)


def remember(results: Mapping[int, MDResult]) -> dict[int, dict[str, Any]]:
    """What a restart file holds of replicas that have ended."""
    return {
        index: {name: getattr(result, name) for name in _OF_THE_RESULT}
        for index, result in results.items()
    }


def ended(
    folder: Path | None, each: Sequence[MDSettings], saved: SavedSet | None
) -> dict[int, MDResult]:
    """The results of replicas that ended before the set was saved, from their files."""
    found = {}
    for text, facts in (saved.facts["ended"] if saved else {}).items():
        own = replica_folder(folder, int(text))
        assert own is not None
        found[int(text)] = _recall(facts, own, each[int(text)])
    return found


def _recall(facts: Mapping[str, Any], folder: Path, settings: MDSettings) -> MDResult:
    whole = folder / str(whole_file(OFFENDING_FILE))
    atoms = read_checked(whole if whole.exists() else folder / OFFENDING_FILE, "-1")[0]
    log = columns(read_log(folder / LOG_FILE))
    return MDResult(
        completed=False,
        timestep_fs=settings.timestep_fs,
        averages=averages(log, settings.equilibration_steps),
        drift_meV_per_atom_per_ps=drift(log, settings.equilibration_steps, len(atoms)),
        log=log,
        atoms=atoms,
        equilibration_steps=settings.equilibration_steps,
        suggested_equilibration_steps=suggested_equilibration(log),
        output=folder,
        **facts,
    )


def start(
    folder: RunFolder, settings: MDSettings, replicas: ReplicaSettings, inputs: Mapping[str, Any]
) -> None:
    """Make the folder and write the settings; what a set resumes from stays."""
    content = {**inputs, **asdict(settings), **asdict(replicas)}
    folder.start(content, files=(RESTART_FILE, FIGURE_FILE), kept=(RESTART_FILE,))


def finish(
    folder: RunFolder, result: ReplicasResult, settings: MDSettings, calculator: Any
) -> None:
    """Write the figure and the numbers of a set that has ended."""
    from ase_geomformer.md.replicas.figure import plot

    if all(len(replica.log.get("step", ())) for replica in result.replicas):
        folder.save_figure(FIGURE_FILE, lambda: plot(result))
    folder.write_result(result, calculator, seed=settings.seed)
