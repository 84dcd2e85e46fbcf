"""Displacements and forces from molecular dynamics of a supercell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.recipes.lattice.phonons.settings import EffectiveSettings
from ase_geomformer.runs.folder import RunFolder

DYNAMICS_FOLDER = "md"


def displacements_and_forces(
    supercell: Atoms,
    evaluator: Evaluator,
    settings: EffectiveSettings,
    folder: RunFolder,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Run dynamics at constant temperature and collect frames.

    With a folder, the run is in ``md`` there and can be resumed.

    Parameters
    ----------
    supercell : ase.Atoms
        At its ideal sites.
    evaluator : Evaluator
    settings : EffectiveSettings
    folder : RunFolder
    progress : bool

    Returns
    -------
    displacements, forces : array (frames, atoms, 3)
        In Å, without the drift of the whole crystal, and in eV/Å.

    Raises
    ------
    ValueError
        If the dynamics had to stop early.
    """
    from ase_geomformer.md import MDSettings, run_md

    run = MDSettings(
        ensemble="nvt-langevin",
        temperature_K=settings.temperature_K,
        timestep_fs=settings.timestep_fs,
        steps=settings.equilibration_steps + settings.frames * settings.frame_interval,
        equilibration_steps=settings.equilibration_steps,
        friction_per_fs=settings.friction_per_fs,
        trajectory_interval=settings.frame_interval,
        log_interval=settings.frame_interval,
        seed=settings.seed,
    )
    with _place(folder) as path:
        result = run_md(
            supercell, evaluator.calculator, run, output=path, resume=True, progress=progress
        )
        if not result.completed:
            raise ValueError(
                f"the dynamics at {settings.temperature_K:g} K for effective force constants "
                f"stopped: {result.reason}"
            )
        frames = read_checked(path / "trajectory.traj", f"-{settings.frames}:")
    displacements = np.array([frame.positions for frame in frames]) - supercell.positions
    displacements -= displacements.mean(axis=1, keepdims=True)
    return displacements, np.array([frame.get_forces() for frame in frames])


@contextmanager
def _place(folder: RunFolder) -> Iterator[Path]:
    """Where the dynamics writes its files; they vanish where the run has no folder."""
    path = folder.file(DYNAMICS_FOLDER)
    if path is not None:
        if not folder.resumed:  # what is there is of a run that is being replaced
            rmtree(path, ignore_errors=True)
        yield path
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)
