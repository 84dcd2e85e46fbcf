"""The files of a phonon calculation: those that phonopy reads, and ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ase_geomformer.recipes.lattice.phonons.figure import draw_bands, draw_thermal
from ase_geomformer.recipes.lattice.phonons.force_constants import FORCE_FILES
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.relaxation import RELAXED_FILE
from ase_geomformer.runs.folder import FINAL_FILES, RunFolder

if TYPE_CHECKING:
    from phonopy import Phonopy

ARRAYS_FILE = "phonons.npz"
# Files that a resumed run needs.
KEPT_FILES = (RELAXED_FILE, *FORCE_FILES)


def save_phonopy(phonon: Phonopy, path: Path) -> None:
    """Write phonopy.yaml: crystal, force sets or force constants, Born charges."""
    settings = {"force_sets": True, "displacements": True}
    if not _has_force_sets(phonon):
        settings = {"force_sets": False, "displacements": False, "force_constants": True}
    phonon.save(path, settings=settings)


def _write_force_sets(phonon: Phonopy, path: Path) -> None:
    from phonopy.file_IO import write_FORCE_SETS

    write_FORCE_SETS(cast(Any, phonon.dataset), filename=path)


def _write_force_constants(phonon: Phonopy, path: Path) -> None:
    from phonopy.file_IO import write_FORCE_CONSTANTS

    rows = phonon.primitive.p2s_map
    write_FORCE_CONSTANTS(np.array(phonon.force_constants), filename=path, p2s_map=rows)


def _has_force_sets(phonon: Phonopy) -> bool:
    """Whether there are forces on single displaced atoms, rather than frames or no forces."""
    return "first_atoms" in (phonon.dataset or {})


_WRITERS: dict[str, Callable[[Phonopy, Path], None]] = {
    "phonopy.yaml": save_phonopy,
    "FORCE_SETS": _write_force_sets,
    "FORCE_CONSTANTS": _write_force_constants,
    "band.yaml": lambda phonon, path: phonon.write_yaml_band_structure(filename=path),
    "total_dos.dat": lambda phonon, path: phonon.write_total_dos(filename=path),
    "thermal_properties.yaml": lambda phonon, path: phonon.write_yaml_thermal_properties(path),
}
_FIGURES = {"bands.png": draw_bands, "thermal.png": draw_thermal}
FILES = (*KEPT_FILES, *FINAL_FILES, ARRAYS_FILE, *_WRITERS, *_FIGURES)


def write_phonopy_files(phonon: Phonopy, folder: RunFolder) -> None:
    """Write the files that phonopy's own scripts read."""
    for name, write in _WRITERS.items():
        if name != "FORCE_SETS" or _has_force_sets(phonon):
            folder.save(name, partial(write, phonon))


def write_files(result: PhononResult, folder: RunFolder) -> None:
    """Write all files but ``result.json``."""
    write_phonopy_files(result.phonon, folder)
    folder.save_final(result.atoms)
    folder.save_arrays(ARRAYS_FILE, result.arrays())
    for name, draw in _FIGURES.items():
        folder.save_figure(name, partial(draw, result))
