"""The relaxation before a phonon calculation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.recipes.lattice.settings import LatticeSettings
from ase_geomformer.recipes.lattice.stability import Stability
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings
from ase_geomformer.runs.folder import RunFolder

# The relaxed crystal, to the last bit.
RELAXED_FILE = "relaxed.traj"


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A crystal after relaxation, and whether it is in equilibrium."""

    atoms: Atoms
    converged: bool
    reason: str

    def verdict(self, found: Stability, settings: LatticeSettings) -> tuple[bool, str]:
        """Whether the crystal is relaxed and stable as far as the settings care, in words, too."""
        bad = [] if self.converged else [self.reason]
        if not found.stable and settings.imaginary != "ignore":
            bad.append(str(found))
        return not bad, "; ".join(bad) or f"{self.reason}; {found}"


def relaxed_crystal(
    atoms: Atoms,
    evaluator: Evaluator,
    settings: LatticeSettings,
    folder: RunFolder,
    progress: bool,
) -> Relaxed:
    """Relax a crystal, or read from the folder what an earlier process has relaxed."""
    from ase.io import write

    from ase_geomformer.recipes.relaxation.run import relax

    wanted, path = settings.relaxation, folder.file(RELAXED_FILE)
    if wanted is None:
        return Relaxed(bare(atoms), True, "not relaxed")
    if path is not None and path.is_file():
        return _stored(path, atoms, 1)[0]
    result = relax(atoms, evaluator, wanted, progress=progress)
    reason = f"relaxed to {result.fmax:.1e} eV/Å" if result.converged else result.reason
    crystal = bare(result.atoms)
    if path is not None:
        with atomic_file(path) as temporary:
            kept = crystal.copy()
            kept.info.update(converged=result.converged, reason=reason)
            write(temporary, kept)
    return Relaxed(crystal, result.converged, reason)


def relaxed_volumes(
    atoms: Atoms,
    ratios: Sequence[float] | np.ndarray,
    evaluator: Evaluator,
    settings: RelaxManySettings | None,
    path: Path | None,
    progress: bool,
) -> list[Relaxed]:
    """Crystals of other volumes, relaxed together, or read from an earlier process.

    Parameters
    ----------
    atoms : ase.Atoms
    ratios : sequence of float
        Volumes by that of ``atoms``.
    evaluator : Evaluator
    settings : RelaxManySettings or None
        None leaves the crystals as they are.
    path : Path or None
        Where the relaxed crystals are kept, to the last bit.
    progress : bool
    """
    from ase.io import write

    from ase_geomformer.recipes.relaxation.many import relax_many

    if path is not None and path.is_file():
        return _stored(path, atoms, len(ratios))
    crystals = []
    for ratio in ratios:
        crystals.append(bare(atoms))
        crystals[-1].set_cell(atoms.cell.array * ratio ** (1 / 3), scale_atoms=True)
    if settings is None:
        return [Relaxed(crystal, True, "not relaxed") for crystal in crystals]
    results = relax_many(crystals, evaluator, settings, progress=progress).results
    relaxed = [Relaxed(bare(one.atoms), one.converged, one.reason) for one in results]
    if path is not None:
        with atomic_file(path) as temporary:
            kept = [one.atoms.copy() for one in relaxed]
            for atoms_kept, one in zip(kept, relaxed, strict=True):
                atoms_kept.info.update(converged=one.converged, reason=one.reason)
            write(temporary, kept)
    return relaxed


def _stored(path: Path, atoms: Atoms, count: int) -> list[Relaxed]:
    """What an earlier process has relaxed.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    relaxed = []
    for found in read_checked(path):
        converged, reason = found.info.get("converged"), found.info.get("reason")
        finite = np.isfinite(found.positions).all() and np.isfinite(found.cell.array).all()
        if not isinstance(converged, bool) or not isinstance(reason, str) or not finite:
            raise ValueError(f"{path} does not hold crystals that this verb has relaxed")
        if found.numbers.tolist() != atoms.numbers.tolist():
            raise ValueError(f"{path} holds {found.symbols}, not {atoms.symbols}")
        relaxed.append(Relaxed(bare(found), converged, reason))
    if len(relaxed) != count:
        raise ValueError(f"{path} holds {len(relaxed)} crystals, and the run has {count}")
    return relaxed


def bare(atoms: Atoms) -> Atoms:
    """Elements, masses, positions and cell, without results and constraints."""
    return Atoms(
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=atoms.cell,
        masses=atoms.get_masses(),
        pbc=True,
    )
