"""Lattice thermal conductivity: from a structure to kappa in one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.lattice import nac, stability
from ase_geomformer.recipes.lattice.cells import free_crystal, to_ase
from ase_geomformer.recipes.lattice.conductivity.figure import draw_conductivity
from ase_geomformer.recipes.lattice.conductivity.result import ConductivityResult
from ase_geomformer.recipes.lattice.conductivity.settings import ConductivitySettings
from ase_geomformer.recipes.lattice.conductivity.third_order import (
    PAIR_FILES,
    Transport,
    displaced,
    make_phono3py,
    run_transport,
    set_force_constants,
)
from ase_geomformer.recipes.lattice.phonons.force_constants import FORCE_FILES
from ase_geomformer.recipes.lattice.relaxation import RELAXED_FILE, Relaxed, relaxed_crystal
from ase_geomformer.recipes.lattice.settings import ANALYSIS_SETTINGS
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

if TYPE_CHECKING:
    from phono3py import Phono3py

ARRAYS_FILE = "conductivity.npz"
FIGURE_FILE = "conductivity.png"
KEPT_FILES = (RELAXED_FILE, *FORCE_FILES, *PAIR_FILES)
# What may change when a run resumes.
FREE = (
    *ANALYSIS_SETTINGS, "method", "isotopes", "boundary_um", "temperature_min_K",
    "temperature_max_K", "temperature_step_K",
)  # fmt: skip


@takes_pymatgen()
def thermal_conductivity(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: ConductivitySettings | None = None,
    *,
    born: nac.BornCharges | None = None,
    **keywords: Unpack[RunKeywords],
) -> ConductivityResult:
    """Lattice thermal conductivity, limited by phonon-phonon scattering.

    The crystal is relaxed; supercells with one and with two displaced atoms are evaluated in
    batches; phono3py computes third-order force constants from the forces and solves the
    Boltzmann equation: Togo, Chaput, Tanaka, Phys. Rev. B 91, 094306 (2015). It is part of the
    extra ``thermal``.

    Parameters
    ----------
    atoms : ase.Atoms or path
        A crystal; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
        A potential by its name, path or itself computes in float64.
    settings : ConductivitySettings, optional
    born : BornCharges, optional
        As in :func:`~ase_geomformer.recipes.phonons`.
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives
        ``phono3py_params.yaml``, ``fc2.hdf5``, ``fc3.hdf5``, ``conductivity.npz``,
        ``conductivity.png``, ``settings.yaml`` and ``result.json``. A resumed run continues at
        the first displacement whose forces are missing.

    Raises
    ------
    ImportError
        If phono3py is not installed.
    ImaginaryModesError
        If there are imaginary modes and ``settings.imaginary`` is "error"; before the Boltzmann
        equation is solved.
    ValueError
        If the structure is no crystal, or settings do not fit it.
    """
    atoms = as_structure(atoms)
    settings = settings or ConductivitySettings()
    run = Run(potential, settings, **keywords)
    _check_installed()
    atoms = free_crystal(atoms, run)
    # An error in these settings is found before any work is done.
    first = make_phono3py(atoms, settings)
    nac.parameters(first.primitive, run.evaluator, settings, born)
    singles, pairs = displaced(first)
    run.foresee([to_ase(first.supercell)], len(singles) + len(pairs))
    evaluator = run.evaluator
    files = (*KEPT_FILES, *_WRITERS, ARRAYS_FILE, FIGURE_FILE)
    folder = run.start(files, kept=KEPT_FILES, free=FREE)
    relaxed = relaxed_crystal(atoms, evaluator, settings, folder, run.progress)
    phonon = make_phono3py(relaxed.atoms, settings)
    evaluated = set_force_constants(phonon, evaluator, settings, folder, run.progress)
    for name, write in _WRITERS.items():
        folder.save(name, partial(write, phonon))
    phonon.nac_params = nac.parameters(phonon.primitive, evaluator, settings, born)
    found = _stability(phonon, settings)
    stability.report(found, settings.imaginary)
    transport = run_transport(phonon, settings)
    result = _result(run, relaxed, phonon, evaluated, settings, transport, found)
    folder.save_arrays(ARRAYS_FILE, vars(transport))
    folder.save_figure(FIGURE_FILE, lambda: draw_conductivity(result))
    title = f"thermal conductivity of {atoms.get_chemical_formula()}, {settings.method}"
    return run.finish(result, title)


def _check_installed() -> None:
    try:
        import phono3py  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the thermal conductivity needs phono3py: pip install 'ase-geomformer[thermal]'"
        ) from error


def _stability(phonon: Phono3py, settings: ConductivitySettings) -> stability.Stability:
    """Look for imaginary modes at the points of the mesh."""
    phonon.mesh_numbers = settings.q_mesh
    phonon.init_phph_interaction()
    phonon.run_phonon_solver()
    frequencies, _, addresses = phonon.get_phonon_data()
    q_points = np.array(addresses) / np.array(phonon.mesh_numbers)
    return stability.stability(q_points, np.array(frequencies), settings.imaginary_tolerance_THz)


def _result(
    run: Run,
    relaxed: Relaxed,
    phonon: Phono3py,
    evaluated: int,
    settings: ConductivitySettings,
    transport: Transport,
    found: stability.Stability,
) -> ConductivityResult:
    return ConductivityResult(
        **run.outcome(*relaxed.verdict(found, settings)),
        atoms=relaxed.atoms,
        phonon=phonon,
        structures_evaluated=evaluated,
        temperatures_K=settings.temperatures_K,
        transport=transport,
        stability=found,
    )


def _write_fc2(phonon: Phono3py, path: Path) -> None:
    from phono3py.file_IO import write_fc2_to_hdf5

    rows = phonon.phonon_primitive.p2s_map
    write_fc2_to_hdf5(np.array(phonon.fc2), filename=str(path), p2s_map=rows)


def _write_fc3(phonon: Phono3py, path: Path) -> None:
    from phono3py.file_IO import write_fc3_to_hdf5

    rows = phonon.primitive.p2s_map
    write_fc3_to_hdf5(np.array(phonon.fc3), filename=str(path), p2s_map=rows)


# Displacements and forces, and force constants, from which phono3py's own scripts go on.
_WRITERS: dict[str, Callable[[Phono3py, Path], None]] = {
    "phono3py_params.yaml": lambda phonon, path: phonon.save(path),
    "fc2.hdf5": _write_fc2,
    "fc3.hdf5": _write_fc3,
}
