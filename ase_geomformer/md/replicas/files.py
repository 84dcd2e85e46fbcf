"""The files of a set of replicas: one folder, and one restart file for all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from ase_geomformer.machine.files import atomic_file, expanded
from ase_geomformer.md import restart
from ase_geomformer.md.output import LOG_FILE, OFFENDING_FILE, RESTART_FILE, check_files
from ase_geomformer.md.recorder import columns, read_log
from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.md.replicas.settings import ReplicaSettings
from ase_geomformer.md.result import MDResult, averages, drift
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runs.folder import SETTINGS_FILE, start_folder, write_result
from ase_geomformer.runs.plain import plain
from ase_geomformer.runs.provenance import provenance

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
        """Refuse to go on with another set; ValueError says in what it differs."""
        restart.check_settings(self.facts["settings"], asdict(settings), self.facts["step"])
        before, now = self.facts["replicas"], plain(replicas)
        for name, value in now.items():
            if value != before[name]:
                raise ValueError(
                    f"{name} = {value!r} cannot be resumed with: the set was begun with "
                    f"{before[name]!r}"
                )
        for index, checkpoint in self.checkpoints.items():
            restart.check_structure(checkpoint, structures[index])


def find(output: str | os.PathLike[str] | None, *, overwrite: bool) -> SavedSet | None:
    """The set saved in a folder; None if it was killed before its first step.

    Raises
    ------
    ValueError
        If there is no folder, or it is also to be overwritten.
    FileNotFoundError
        If the folder holds something else.
    """
    if output is None:
        raise ValueError("resume needs the output folder of the set to go on with")
    if overwrite:
        raise ValueError("resume goes on with a set, and overwrite replaces it; give one of them")
    folder = expanded(output)
    if (folder / RESTART_FILE).exists():
        saved = load(folder / RESTART_FILE)
        for index, checkpoint in saved.checkpoints.items():
            check_files(folder / f"replica_{index}", checkpoint)
        return saved
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    strange = {n for n in names if not n.startswith((".", "replica_"))} - {SETTINGS_FILE}
    if strange:
        raise FileNotFoundError(f"there is no {RESTART_FILE} in {folder} to resume from")
    return None


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
        raise ValueError(f"{path} is of a single run; go on with it by md --resume")
    checkpoints = {}
    for text, own in facts["live"].items():
        prefix = f"{text}/"
        found = {
            name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)
        }
        checkpoints[int(text)] = restart.assemble(own, found)
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
    from ase.io import read

    atoms = read(folder / OFFENDING_FILE)
    assert isinstance(atoms, Atoms)
    log = columns(read_log(folder / LOG_FILE))
    return MDResult(
        completed=False,
        timestep_fs=settings.timestep_fs,
        averages=averages(log, settings.equilibration_steps),
        drift_meV_per_atom_per_ps=drift(log, settings.equilibration_steps, len(atoms)),
        log=log,
        atoms=atoms,
        output=folder,
        **facts,
    )


def start(
    folder: Path | None,
    settings: MDSettings,
    replicas: ReplicaSettings,
    inputs: dict[str, Any],
    *,
    kept: bool,
) -> None:
    """Make the folder and write the settings; what a set resumes with stays."""
    if folder is None:
        return
    stale = (FIGURE_FILE,) if kept else (RESTART_FILE, FIGURE_FILE)
    start_folder(folder, {**inputs, **asdict(settings), **asdict(replicas)}, stale)


def finish(result: ReplicasResult, settings: MDSettings, calculator: Any) -> None:
    """Write the figure and the numbers of a set that has ended."""
    from ase_geomformer.md.replicas.figure import plot

    folder = result.output
    if folder is None:
        return
    if all(len(replica.log.get("step", ())) for replica in result.replicas):
        with atomic_file(folder / FIGURE_FILE) as temporary:
            plot(result).savefig(temporary, dpi=160)
    origin = provenance(calculator, seed=settings.seed)
    write_result(folder, {**result.summary(), "provenance": origin})
