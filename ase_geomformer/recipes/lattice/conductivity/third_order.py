"""Third-order force constants, and the heat that phonons carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.lattice.cells import (
    primitive_matrix,
    supercell_matrix,
    to_ase,
    to_phonopy,
)
from ase_geomformer.recipes.lattice.conductivity.settings import ConductivitySettings
from ase_geomformer.recipes.lattice.forces import evaluate_forces
from ase_geomformer.recipes.lattice.phonons.force_constants import FORCES_NAME, open_store
from ase_geomformer.runs.folder import RunFolder

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

PAIRS_NAME = "pairs"
PAIR_FILES = (f"{PAIRS_NAME}.forces", f"{PAIRS_NAME}.json")


@dataclass(frozen=True, eq=False)
class Transport:
    """What the Boltzmann equation gives, at the irreducible points of the mesh.

    Attributes
    ----------
    conductivity_W_per_mK : array (temperatures, 6)
        xx, yy, zz, yz, xz, xy.
    mode_conductivity_W_per_mK : array (temperatures, points, branches, 6)
        Their sum over points and branches, with the directions that symmetry makes of a point
        in it, divided by the number of mesh points, is the conductivity.
    q_points : array (points, 3)
    weights : array (points,)
    frequencies_THz : array (points, branches)
    group_velocities_THz_A : array (points, branches, 3)
    lifetimes_ps : array (temperatures, points, branches)
        By phonons alone; infinite where nothing scatters.
    """

    conductivity_W_per_mK: np.ndarray
    mode_conductivity_W_per_mK: np.ndarray
    q_points: np.ndarray
    weights: np.ndarray
    frequencies_THz: np.ndarray
    group_velocities_THz_A: np.ndarray
    lifetimes_ps: np.ndarray


def make_phono3py(atoms: Atoms, settings: ConductivitySettings) -> Phono3py:
    """Phono3py's object with all displacements."""
    from phono3py import Phono3py

    crystal = to_phonopy(atoms)
    found = Phono3py(
        crystal,
        supercell_matrix(
            atoms, settings.supercell, settings.supercell_length_A, settings.symprec_A
        ),
        primitive_matrix=primitive_matrix(crystal, settings.primitive, settings.symprec_A),
        phonon_supercell_matrix=supercell_matrix(
            atoms, settings.phonon_supercell, settings.phonon_supercell_length_A, settings.symprec_A
        ),
        symprec=settings.symprec_A,
    )
    found.generate_displacements(
        distance=settings.displacement_A, cutoff_pair_distance=settings.pair_cutoff_A
    )
    found.generate_fc2_displacements(distance=settings.displacement_A)
    return found


def displaced(phonon: Phono3py) -> tuple[list[PhonopyAtoms], list[PhonopyAtoms]]:
    """Supercells with one displaced atom, and those with two that interact."""
    pairs = [cell for cell in phonon.supercells_with_displacements if cell is not None]
    return list(phonon.phonon_supercells_with_displacements), pairs


def set_force_constants(
    phonon: Phono3py,
    evaluator: Evaluator,
    settings: ConductivitySettings,
    folder: RunFolder,
    progress: bool,
) -> int:
    """Evaluate all displaced supercells in batches; how many there are."""
    singles, pairs = displaced(phonon)
    forces = {}
    for name, text, cells in (
        (FORCES_NAME, "Displacements", singles),
        (PAIRS_NAME, "Pairs of displacements", pairs),
    ):
        structures = [to_ase(cell) for cell in cells]
        forces[name] = evaluate_forces(
            evaluator,
            structures,
            store=open_store(folder, name, structures, evaluator),
            atoms_per_chunk=settings.atoms_per_chunk,
            description=text,
            progress=progress,
        )
    phonon.phonon_forces = forces[FORCES_NAME]
    # Pairs beyond the cutoff do not interact; phono3py skips them, whatever stands there.
    included = [cell is not None for cell in phonon.supercells_with_displacements]
    of_pairs = np.zeros((len(included), *forces[PAIRS_NAME].shape[1:]))
    of_pairs[included] = forces[PAIRS_NAME]
    phonon.forces = of_pairs
    phonon.produce_fc3()
    phonon.produce_fc2()
    if settings.symmetrize:
        phonon.symmetrize_fc3()
        phonon.symmetrize_fc2()
    return len(pairs) + len(singles)


def run_transport(phonon: Phono3py, settings: ConductivitySettings) -> Transport:
    """Solve the Boltzmann equation of phonons, by phono3py."""
    phonon.mesh_numbers = settings.q_mesh
    # Without the average, lifetimes depend on how rounding chooses the eigenvectors of degenerate
    # modes, and the conductivity with them in its fourth digit.
    phonon.init_phph_interaction(average_degenerate_weights=True)
    direct = settings.method == "lbte"
    phonon.run_thermal_conductivity(
        is_LBTE=direct,
        temperatures=settings.temperatures_K,
        is_isotope=settings.isotopes,
        boundary_mfp=settings.boundary_um,
    )
    found: Any = phonon.thermal_conductivity
    gamma = np.array(found.gamma)[0]
    with np.errstate(divide="ignore"):
        # Half the line width in THz: Togo et al., Phys. Rev. B 91, 094306 (2015).
        lifetimes = np.where(gamma > 0, 1.0 / (4.0 * np.pi * gamma), np.inf)
    return Transport(
        conductivity_W_per_mK=np.array(found.kappa)[0],
        mode_conductivity_W_per_mK=np.array(found.mode_kappa)[0],
        q_points=np.array(found.qpoints),
        weights=np.array(found.grid_weights),
        frequencies_THz=np.array(found.frequencies),
        group_velocities_THz_A=np.array(found.group_velocities),
        lifetimes_ps=lifetimes,
    )
