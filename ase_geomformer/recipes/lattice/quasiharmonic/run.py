"""Quasi-harmonic approximation: thermal expansion and what goes with it, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Unpack

import numpy as np
from ase import Atoms, units

from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.lattice import stability
from ase_geomformer.recipes.lattice.bands import band_structure
from ase_geomformer.recipes.lattice.cells import free_crystal, supercell_matrix, to_ase
from ase_geomformer.recipes.lattice.phonons.force_constants import SOURCES, evaluations
from ase_geomformer.recipes.lattice.phonons.outputs import KEPT_FILES, save_phonopy
from ase_geomformer.recipes.lattice.phonons.run import (
    check_feasible,
    finish_force_constants,
    make_phonopy,
)
from ase_geomformer.recipes.lattice.quasiharmonic.figure import draw_gruneisen, draw_qha
from ase_geomformer.recipes.lattice.quasiharmonic.gruneisen import gruneisen_parameters
from ase_geomformer.recipes.lattice.quasiharmonic.result import QHAResult
from ase_geomformer.recipes.lattice.quasiharmonic.settings import QHASettings
from ase_geomformer.recipes.lattice.relaxation import relaxed_crystal, relaxed_volumes
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

if TYPE_CHECKING:
    from phonopy import Phonopy

VOLUMES_FILE = "volumes.traj"
ENERGIES_FILE = "e-v.dat"
PHONOPY_FILE = "phonopy-{}.yaml"
ARRAYS_FILE = "qha.npz"
FIGURES = {"qha.png": draw_qha, "gruneisen.png": draw_gruneisen}


@takes_pymatgen()
def qha(
    atoms: StructureLike,
    potential: PotentialLike,
    settings: QHASettings | None = None,
    **keywords: Unpack[RunKeywords],
) -> QHAResult:
    """Thermal expansion, heat capacity at constant pressure, bulk modulus, Grüneisen parameters.

    The crystal is relaxed, then its shape and atoms at each of a number of volumes; the displaced
    supercells of all volumes are evaluated in batches. The free energy at each temperature is
    fitted to an equation of state by phonopy.

    Parameters
    ----------
    atoms : ase.Atoms or path
        A crystal; left as it is. Constraints are set aside.
    potential : str, path, Potential, ASE calculator or Evaluator
        A potential by its name, path or itself computes in float64.
    settings : QHASettings, optional
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``e-v.dat`` and
        ``phonopy-N.yaml``, which phonopy reads, ``qha.npz``, figures, ``settings.yaml`` and
        ``result.json``. A resumed run continues at the first displacement whose forces are
        missing.

    Raises
    ------
    ImaginaryModesError
        If a volume has imaginary modes and ``settings.phonons.imaginary`` is "error".
    ValueError
        If the structure is no crystal, or settings do not fit it.
    """
    atoms = as_structure(atoms)
    settings = settings or QHASettings()
    run = Run(potential, settings, **keywords)
    atoms = free_crystal(atoms, run)
    progress, chosen = run.progress, settings.phonons
    first = make_phonopy(atoms, chosen)
    check_feasible(first.primitive, run.evaluator, chosen)
    each = evaluations(first, chosen)
    run.foresee([to_ase(first.supercell)], each * len(settings.ratios))
    evaluator = run.evaluator
    names = [PHONOPY_FILE.format(number) for number in range(settings.volumes)]
    folder = run.start(
        (*KEPT_FILES, VOLUMES_FILE, ENERGIES_FILE, ARRAYS_FILE, *FIGURES, *names),
        kept=(*KEPT_FILES, VOLUMES_FILE),
    )
    relaxed = relaxed_crystal(atoms, evaluator, chosen, folder, progress)
    crystals = relaxed_volumes(
        relaxed.atoms, settings.ratios, evaluator, settings.relaxation,
        folder.file(VOLUMES_FILE), progress,
    )  # fmt: skip
    matrix = supercell_matrix(
        relaxed.atoms, chosen.supercell, chosen.supercell_length_A, chosen.symprec_A
    )
    found = [make_phonopy(crystal.atoms, chosen, matrix) for crystal in crystals]
    SOURCES[chosen.force_constants](found, evaluator, chosen, folder, progress)
    for phonon in found:
        finish_force_constants(phonon, evaluator, chosen)
    energies = [
        result["energy"]
        for result in evaluator([to_ase(phonon.primitive) for phonon in found], ("energy",))
    ]
    bad = [one.reason for one in (relaxed, *crystals) if not one.converged]
    result = _result(run, relaxed.atoms, found, energies, settings, bad)
    _write_phonopy_files(found[: settings.volumes], result, folder)
    folder.save_arrays(ARRAYS_FILE, result.arrays())
    for name, draw in FIGURES.items():
        folder.save_figure(name, partial(draw, result))
    run.finish(result, f"{atoms.get_chemical_formula()}, quasi-harmonic")
    for one in result.stabilities:
        stability.report(one, chosen.imaginary)
    return result


def _result(
    run: Run,
    atoms: Atoms,
    phonons: Sequence[Phonopy],
    energies: Sequence[float],
    settings: QHASettings,
    bad: list[str],
) -> QHAResult:
    """What follows from force constants and energies (n + 3) at all volumes."""
    from phonopy import run_qha

    chosen = settings.phonons
    stabilities = [_stability(phonon, settings) for phonon in phonons]
    unstable = [str(one) for one in stabilities if not one.stable]
    if unstable and chosen.imaginary != "ignore":
        bad = [*bad, f"{len(unstable)} of {len(phonons)} volumes have {unstable[0]}"]
    middle, larger, smaller = phonons[settings.volumes :]
    bands = band_structure(middle, chosen.band_points)
    # phonopy's differences use up a temperature.
    temperatures = np.append(
        chosen.temperatures_K, chosen.temperatures_K[-1] + chosen.temperature_step_K
    )
    found = run_qha(
        phonons[: settings.volumes],
        temperatures,
        energies[: settings.volumes],
        mesh=chosen.q_mesh,
        pressure=settings.pressure_GPa,
        eos=settings.eos,
        exclude_gamma_acoustic=True,
    )
    return QHAResult(
        **run.outcome(
            not bad, "; ".join(bad) or "all volumes are relaxed and have no imaginary modes"
        ),
        atoms=atoms,
        static_volume_A3=float(middle.primitive.volume),
        eos=settings.eos,
        volumes_A3=np.array(found.volumes),
        energies_eV=np.array(energies[: settings.volumes]),
        stabilities=stabilities,
        temperatures_K=np.array(found.temperatures),
        free_energies_eV=np.array(found.helmholtz_volume),
        equilibrium_volumes_A3=np.array(found.equilibrium_volumes),
        gibbs_energy_eV=np.array(found.gibbs_free_energies),
        thermal_expansion_per_K=np.array(found.thermal_expansion),
        bulk_modulus_GPa=np.array(found.bulk_moduli) / units.GPa,
        heat_capacity_eV_per_K=np.array(found.heat_capacity_P.heat_capacities),
        thermal_gruneisen=np.array(found.gruneisen_parameters),
        modes=gruneisen_parameters(
            middle, larger, smaller, bands, settings.gruneisen_mesh_length_A
        ),
        bands=bands,
    )


def _stability(phonon: Phonopy, settings: QHASettings) -> stability.Stability:
    found = phonon.run_mesh(settings.gruneisen_mesh_length_A, is_gamma_center=True)
    return stability.stability(
        np.array(found.qpoints),
        np.array(found.frequencies),
        settings.phonons.imaginary_tolerance_THz,
    )


def _write_phonopy_files(phonons: Sequence[Phonopy], result: QHAResult, folder: RunFolder) -> None:
    """Force sets of each volume, and volumes with energies as phonopy-qha reads them."""
    for number, phonon in enumerate(phonons):
        folder.save(PHONOPY_FILE.format(number), partial(save_phonopy, phonon))
    path = folder.file(ENERGIES_FILE)
    if path is not None:
        rows = zip(result.volumes_A3, result.energies_eV, strict=True)
        write_text(path, "".join(f"{volume:.10f} {energy:.10f}\n" for volume, energy in rows))
