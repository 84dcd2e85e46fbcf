"""A process that computes for long leaves no file open and keeps no calculator alive."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import RelaxSettings, relax

DESCRIPTORS = Path("/proc/self/fd")
RUNS = 10


def _move(folder: Path, trajectory_format: str) -> None:
    settings = MDSettings(
        steps=2, log_interval=1, trajectory_interval=1, trajectory_format=trajectory_format
    )
    result = run_md(bulk("Cu", cubic=True), EMT(), settings, output=folder, progress=False)
    assert result.completed, result.reason


def _relax(folder: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.02)
    settings = RelaxSettings(fmax=0.05, cell="full")
    assert relax(atoms, EMT(), settings, output=folder, progress=False).converged


def _refused(folder: Path) -> None:
    """A run that does not start, and one whose folder is taken."""
    settings = MDSettings(steps=2, ensemble="npt-mtk")
    with pytest.raises(ValueError, match="pbc"):
        run_md(molecule("H2O"), EMT(), settings, output=folder / "molecule", progress=False)
    (folder / "taken").mkdir(parents=True)
    (folder / "taken" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        relax(bulk("Cu"), EMT(), output=folder / "taken", progress=False)


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="open files are listed on Linux only")
def test_runs_leave_no_file_open(tmp_path: Path) -> None:
    open_files = []
    for run in range(RUNS):
        folder = tmp_path / str(run)
        _move(folder / "md", ("traj", "h5md", "extxyz")[run % 3])
        _relax(folder / "relax")
        _refused(folder / "refused")
        # Before anything is collected: files are closed.
        open_files.append(len(os.listdir(DESCRIPTORS)))
    # The first three runs, one of each format, load what opens files for good (fonts, HDF5).
    assert max(open_files[3:]) <= open_files[2], open_files


def test_dropped_calculators_and_their_weights_are_freed(potential: Potential) -> None:
    """Nothing in the package, such as a cache, holds them."""
    calculator = PotentialCalculator(potential, device="cpu")
    atoms = Atoms("H2O", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    calculator.get_property("forces", atoms)
    references = [weakref.ref(calculator), weakref.ref(calculator.potential)]
    del calculator
    gc.collect()
    assert [reference() for reference in references] == [None, None]
