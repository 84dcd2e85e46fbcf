"""Phonons: from a structure to bands, densities of states and thermodynamics in one call."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.base import PotentialLike, recipe_evaluator
from ase_geomformer.recipes.lattice import nac, stability
from ase_geomformer.recipes.lattice.bands import band_structure
from ase_geomformer.recipes.lattice.cells import (
    check_crystal,
    primitive_matrix,
    supercell_matrix,
    to_phonopy,
)
from ase_geomformer.recipes.lattice.modes import modes_on_mesh
from ase_geomformer.recipes.lattice.phonons.densities import density_of_states
from ase_geomformer.recipes.lattice.phonons.force_constants import SOURCES, check_exact
from ase_geomformer.recipes.lattice.phonons.outputs import FILES, KEPT_FILES, write_files
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.recipes.lattice.phonons.thermal import thermal_properties
from ase_geomformer.recipes.lattice.relaxation import Relaxed, relaxed_crystal
from ase_geomformer.recipes.lattice.settings import ANALYSIS_SETTINGS
from ase_geomformer.runs import report
from ase_geomformer.runs.folder import RunFolder, open_folder

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.cells import Primitive

# What may change when a run resumes.
FREE = (*ANALYSIS_SETTINGS, "band_points", "temperature_max_K", "temperature_step_K")
_LOWEST_CUTOFF_THZ = 1e-3


def phonons(
    atoms: Atoms,
    potential: PotentialLike,
    settings: PhononSettings | None = None,
    *,
    born: nac.BornCharges | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    inputs: Mapping[str, Any] | None = None,
) -> PhononResult:
    """Vibrations of a crystal.

    The structure is relaxed, atoms of a supercell are displaced, all displaced supercells are
    evaluated in batches, and phonopy makes of the forces what there is to know: bands along
    seekpath's path with group velocities, densities of states, thermodynamics, mean square
    displacements, and whether any mode is imaginary.

    Parameters
    ----------
    atoms : ase.Atoms
        A crystal; left as it is.
    potential : str, path, Potential, ASE calculator or Evaluator
        A potential by its name, path or itself computes in float64.
    settings : PhononSettings, optional
    born : BornCharges, optional
        Born charges of the atoms of the primitive cell, for the non-analytical term; in place of
        those that ``settings.nac`` asks for.
    output : path, optional
        Folder for ``phonopy.yaml``, ``FORCE_SETS``, ``FORCE_CONSTANTS``, ``band.yaml``,
        ``total_dos.dat``, ``thermal_properties.yaml``, ``phonons.npz``, figures,
        ``settings.yaml`` and ``result.json``; nothing is written without it.
    resume : bool
        Go on with the run in ``output`` at the first displacement whose forces are missing, or
        begin it. Settings of the analysis may be others: the forces stay.
    overwrite : bool
        Replace the files of an earlier run in ``output``.
    progress : bool
        Show progress bars, and a table at the end.
    inputs : mapping, optional
        What else the run was started from, written into ``settings.yaml``.

    Returns
    -------
    PhononResult
        ``phonon`` is phonopy's own object, for anything else.

    Raises
    ------
    ImaginaryModesError
        If there are imaginary modes and ``settings.imaginary`` is "error"; the files are there.
    ValueError
        If the structure is no crystal, or settings do not fit it.
    """
    start = time.perf_counter()
    settings = settings or PhononSettings()
    check_crystal(atoms)
    evaluator = recipe_evaluator(potential)
    check_feasible(make_phonopy(atoms, settings).primitive, evaluator, settings, born)
    folder = open_folder(
        output, settings, inputs=inputs, files=FILES, kept=KEPT_FILES, free=FREE,
        resume=resume, overwrite=overwrite,
    )  # fmt: skip
    relaxed = relaxed_crystal(atoms, evaluator, settings, folder, progress)
    phonon = make_phonopy(relaxed.atoms, settings)
    source = SOURCES[settings.force_constants]
    evaluated = source([phonon], evaluator, settings, folder, progress)
    finish_force_constants(phonon, evaluator, settings, born)
    result = analyse(phonon, relaxed, settings, evaluated, start, folder)
    write_files(result, folder)
    folder.write_result(result, evaluator.calculator)
    if progress:
        report.show(result, f"phonons of {relaxed.atoms.get_chemical_formula()}", result.rows())
    stability.report(result.stability, settings.imaginary)
    return result


def make_phonopy(
    atoms: Atoms, settings: PhononSettings, matrix: np.ndarray | None = None
) -> Phonopy:
    """Phonopy's object for a crystal and its supercell, that of the settings if none is given."""
    from phonopy import Phonopy

    if matrix is None:
        matrix = supercell_matrix(
            atoms, settings.supercell, settings.supercell_length_A, settings.symprec_A
        )
    crystal = to_phonopy(atoms)
    primitive = primitive_matrix(crystal, settings.primitive, settings.symprec_A)
    return Phonopy(crystal, matrix, primitive_matrix=primitive, symprec=settings.symprec_A)


def check_feasible(
    primitive: Primitive,
    evaluator: Evaluator,
    settings: PhononSettings,
    born: nac.BornCharges | None = None,
) -> None:
    """Refuse what would fail only after the work is done.

    Raises
    ------
    ValueError
        If the potential has no exact second derivatives, no charges, or there are no Born charges
        that fit the crystal, where the settings ask for them.
    FileNotFoundError
        If there is no file of Born charges.
    """
    if settings.force_constants == "hessian":
        check_exact(evaluator)
    nac.parameters(primitive, evaluator, settings, born)


def finish_force_constants(
    phonon: Phonopy,
    evaluator: Evaluator,
    settings: PhononSettings,
    born: nac.BornCharges | None = None,
) -> None:
    """Symmetrise force constants and add the non-analytical term."""
    if settings.symmetrize:
        phonon.symmetrize_force_constants(show_drift=False)
    phonon.nac_params = nac.parameters(phonon.primitive, evaluator, settings, born)


def analyse(
    phonon: Phonopy,
    relaxed: Relaxed,
    settings: PhononSettings,
    evaluated: int,
    start: float,
    folder: RunFolder,
) -> PhononResult:
    """All that follows from force constants."""
    bands = band_structure(phonon, settings.band_points)
    modes = modes_on_mesh(phonon, settings.q_mesh)
    cutoff = max(settings.imaginary_tolerance_THz, _LOWEST_CUTOFF_THZ)
    found = stability.stability(
        np.concatenate([*bands.q_points, modes.q_points]),
        np.concatenate([*bands.frequencies_THz, modes.frequencies_THz]),
        settings.imaginary_tolerance_THz,
    )
    converged, reason = relaxed.verdict(found, settings)
    return PhononResult(
        converged=converged,
        reason=reason,
        wall_time=time.perf_counter() - start,
        output=folder.path,
        atoms=relaxed.atoms,
        phonon=phonon,
        supercell_matrix=np.array(phonon.supercell_matrix),
        structures_evaluated=evaluated,
        bands=bands,
        modes=modes,
        dos=density_of_states(phonon, modes),
        thermal=thermal_properties(phonon, modes, settings.temperatures_K, cutoff),
        stability=found,
        acoustic_gap_THz=_acoustic_gap(phonon),
    )


def _acoustic_gap(phonon: Phonopy) -> float:
    """Largest absolute frequency in THz of the three translations."""
    frequencies = np.array(phonon.run_qpoints([[0.0, 0.0, 0.0]]).frequencies)[0]
    return float(np.sort(np.abs(frequencies))[2])
