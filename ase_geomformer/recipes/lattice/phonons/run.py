"""Phonons: from a structure to bands, densities of states and thermodynamics in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.lattice import nac, stability
from ase_geomformer.recipes.lattice.bands import band_structure
from ase_geomformer.recipes.lattice.cells import (
    free_crystal,
    primitive_matrix,
    supercell_matrix,
    to_ase,
    to_phonopy,
)
from ase_geomformer.recipes.lattice.modes import modes_on_mesh
from ase_geomformer.recipes.lattice.phonons.densities import density_of_states
from ase_geomformer.recipes.lattice.phonons.force_constants import (
    SOURCES,
    check_exact,
    evaluations,
)
from ase_geomformer.recipes.lattice.phonons.outputs import FILES, KEPT_FILES, write_files
from ase_geomformer.recipes.lattice.phonons.result import PhononResult
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.recipes.lattice.phonons.thermal import thermal_properties
from ase_geomformer.recipes.lattice.relaxation import Relaxed, relaxed_crystal
from ase_geomformer.recipes.lattice.settings import ANALYSIS_SETTINGS
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.cells import Primitive

# What may change when a run resumes.
FREE = (*ANALYSIS_SETTINGS, "band_points", "temperature_max_K", "temperature_step_K")
_LOWEST_CUTOFF_THZ = 1e-3


@takes_pymatgen()
def phonons(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: PhononSettings | None = None,
    *,
    born: nac.BornCharges | None = None,
    **keywords: Unpack[RunKeywords],
) -> PhononResult:
    """Phonons of a crystal.

    The structure is relaxed, the displaced supercells are evaluated in batches, and phonopy
    computes from the forces: bands along seekpath's path with group velocities, densities of
    states, thermodynamics, mean square displacements and imaginary modes.

    Parameters
    ----------
    atoms : ase.Atoms or path
        A crystal; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
        A potential by its name, path or itself computes in float64.
    settings : PhononSettings, optional
    born : BornCharges, optional
        Born charges of the atoms of the primitive cell, for the non-analytical term; in place of
        those that ``settings.nac`` asks for.
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``phonopy.yaml``,
        ``FORCE_SETS``, ``FORCE_CONSTANTS``, ``band.yaml``, ``total_dos.dat``,
        ``thermal_properties.yaml``, ``phonons.npz``, figures, ``settings.yaml`` and
        ``result.json``. A resumed run continues at the first displacement whose forces are
        missing; settings of the analysis may change.

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
    atoms = as_structure(atoms)
    settings = settings or PhononSettings()
    run = Run(potential, settings, **keywords)
    atoms = free_crystal(atoms, run)
    first = make_phonopy(atoms, settings)
    check_feasible(first.primitive, run.evaluator, settings, born)
    run.foresee([to_ase(first.supercell)], evaluations(first, settings))
    evaluator = run.evaluator
    folder = run.start(FILES, kept=KEPT_FILES, free=FREE)
    relaxed = relaxed_crystal(atoms, evaluator, settings, folder, run.progress)
    phonon = make_phonopy(relaxed.atoms, settings)
    source = SOURCES[settings.force_constants]
    evaluated = source([phonon], evaluator, settings, folder, run.progress)
    finish_force_constants(phonon, evaluator, settings, born)
    result = _analyse(run, phonon, relaxed, settings, evaluated)
    write_files(result, folder)
    run.finish(result, f"phonons of {relaxed.atoms.get_chemical_formula()}")
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
    """Check before any work what would otherwise fail at the end.

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


def _analyse(
    run: Run, phonon: Phonopy, relaxed: Relaxed, settings: PhononSettings, evaluated: int
) -> PhononResult:
    """Everything that follows from the force constants."""
    bands = band_structure(phonon, settings.band_points)
    modes = modes_on_mesh(phonon, settings.q_mesh)
    cutoff = max(settings.imaginary_tolerance_THz, _LOWEST_CUTOFF_THZ)
    found = stability.stability(
        np.concatenate([*bands.q_points, modes.q_points]),
        np.concatenate([*bands.frequencies_THz, modes.frequencies_THz]),
        settings.imaginary_tolerance_THz,
    )
    return PhononResult(
        **run.outcome(*relaxed.verdict(found, settings)),
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
