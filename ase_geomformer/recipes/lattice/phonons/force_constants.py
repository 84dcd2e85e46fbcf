"""Where force constants come from: displacements, exact second derivatives, or dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.lattice.cells import to_ase
from ase_geomformer.recipes.lattice.forces import ForceStore, evaluate_forces
from ase_geomformer.recipes.lattice.phonons.dynamics import displacements_and_forces
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.provenance import provenance

if TYPE_CHECKING:
    from phonopy import Phonopy

FORCES_NAME = "displacements"
# Files that a resumed run goes on with.
FORCE_FILES = (f"{FORCES_NAME}.forces", f"{FORCES_NAME}.json")


def from_displacements(
    phonons: Sequence[Phonopy],
    evaluator: Evaluator,
    settings: PhononSettings,
    folder: RunFolder,
    progress: bool,
) -> int:
    """Force constants of crystals from the forces on displaced atoms, all in one list.

    The displacements are the fewest that symmetry allows, to both sides where the two differ.

    Returns
    -------
    int
        How many supercells there are.
    """
    for phonon in phonons:
        phonon.generate_displacements(distance=settings.displacement_A)
    displaced = [phonon.supercells_with_displacements or [] for phonon in phonons]
    structures = [to_ase(cell) for cells in displaced for cell in cells]
    forces = evaluate_forces(
        evaluator,
        structures,
        store=open_store(folder, FORCES_NAME, structures, evaluator),
        atoms_per_chunk=settings.atoms_per_chunk,
        progress=progress,
    )
    ends = np.cumsum([len(cells) for cells in displaced])
    for phonon, part in zip(phonons, np.split(forces, ends[:-1]), strict=True):
        phonon.forces = part
        phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    return len(structures)


def from_hessian(
    phonons: Sequence[Phonopy],
    evaluator: Evaluator,
    settings: PhononSettings,
    folder: RunFolder,
    progress: bool,
) -> int:
    """Force constants as rows of the exact Hessian, those of the atoms of the primitive cell."""
    del settings, folder
    from ase_geomformer.hessian import hessian

    calculator = check_exact(evaluator)
    for phonon in phonons:
        rows = phonon.primitive.p2s_map
        supercell = to_ase(phonon.supercell)
        found = hessian(
            calculator, supercell, rows=rows, dtype=calculator.potential.dtype, progress=progress
        )
        blocks = found.reshape(len(rows), 3, len(supercell), 3).transpose(0, 2, 1, 3)
        phonon.force_constants = blocks
    return 0


def check_exact(evaluator: Evaluator) -> PotentialCalculator:
    """The calculator of a potential whose second derivatives are at hand.

    Raises
    ------
    ValueError
        If the calculator is not a potential of this package.
    """
    calculator = evaluator.calculator
    if not isinstance(calculator, PotentialCalculator):
        raise ValueError(
            f"force_constants = 'hessian' needs a potential of this package, not "
            f"{type(calculator).__name__}; use displacements"
        )
    return calculator


def from_dynamics(
    phonons: Sequence[Phonopy],
    evaluator: Evaluator,
    settings: PhononSettings,
    folder: RunFolder,
    progress: bool,
) -> int:
    """Effective force constants: those that fit the forces in molecular dynamics best.

    The fit, by symfc, is over all displacements and forces of the frames at once and keeps the
    crystal's symmetry: Hellman et al., Phys. Rev. B 84, 180301 (2011).

    Returns
    -------
    int
        How many frames there are.
    """
    for phonon in phonons:
        displacements, forces = displacements_and_forces(
            to_ase(phonon.supercell), evaluator, settings.md, folder, progress
        )
        phonon.dataset = {"displacements": displacements, "forces": forces}
        phonon.produce_force_constants(
            calculate_full_force_constants=False, fc_calculator="symfc", show_drift=False
        )
    return len(phonons) * settings.md.frames


Source = Callable[[Sequence["Phonopy"], Evaluator, PhononSettings, RunFolder, bool], int]

SOURCES: dict[str, Source] = {
    "displacements": from_displacements,
    "hessian": from_hessian,
    "md": from_dynamics,
}


def evaluations(phonon: Phonopy, settings: PhononSettings) -> int:
    """How many supercells will be evaluated; none for exact second derivatives."""
    if settings.force_constants == "hessian":
        return 0
    if settings.force_constants == "md":
        md = settings.md
        return md.equilibration_steps + md.frames * md.frame_interval
    phonon.generate_displacements(distance=settings.displacement_A)
    return len(phonon.supercells_with_displacements or [])


def open_store(
    folder: RunFolder, name: str, structures: Sequence[Any], evaluator: Evaluator
) -> ForceStore | None:
    """Where forces are kept between runs; None without a folder."""
    path = folder.file(name)
    if path is None:
        return None
    origin = provenance(evaluator.calculator)
    # How it is evaluated changes forces by rounding at most, and older files do not say it.
    potential = {k: v for k, v in origin["potential"].items() if k != "evaluation"}
    identity = {"potential": potential, "dtype": origin["dtype"]}
    return ForceStore(path, structures, identity)
