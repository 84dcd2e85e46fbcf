"""What recipes of crystals share."""

from __future__ import annotations

from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.base import Run
from ase_geomformer.recipes.constraints import set_aside
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.run import relax
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings, RelaxSettings
from ase_geomformer.recipes.relaxation.store import RelaxStore

# The relaxed crystal of a run that can be resumed.
BULK_FILE = "bulk.jsonl"


def check_crystal(atoms: Atoms, purpose: str, remedy: str = "give a crystal") -> None:
    """Refuse what is no crystal, saying what needs one and what to do.

    Raises
    ------
    ValueError
        If the structure has no atoms or is not periodic along three axes.
    """
    if not len(atoms):
        raise ValueError("the structure has no atoms; give a crystal")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise ValueError(
            f"{purpose} needs a crystal, periodic along three axes with a cell of three vectors; "
            f"{atoms.symbols} has pbc = {atoms.pbc.tolist()} and a cell of rank "
            f"{atoms.cell.rank}; {remedy}"
        )


def free_crystal(atoms: Atoms, run: Run, purpose: str, remedy: str = "give a crystal") -> Atoms:
    """A copy of a crystal without its constraints, which the result then says.

    Raises
    ------
    ValueError
        If the structure is no crystal, or its positions are not finite.
    """
    geometry(atoms)  # refuses positions that are not finite
    check_crystal(atoms, purpose, remedy)
    free, note = set_aside(atoms)
    run.note(note)
    return free


def relaxed_start(
    atoms: Atoms, evaluator: Evaluator, settings: RelaxSettings
) -> tuple[Atoms, list[str]]:
    """The relaxed crystal, and what went wrong on the way."""
    found = relax(atoms, evaluator, settings, progress=False)
    if found.converged and found.damage is None:
        return found.atoms, []
    return found.atoms, [f"the crystal did not relax: {found.reason}"]


def stored_start(atoms: Atoms, run: Run, settings: RelaxManySettings) -> tuple[Atoms, list[str]]:
    """As :func:`relaxed_start`; a run that is resumed takes the relaxed crystal from its folder."""
    store = RelaxStore(run.folder.file(BULK_FILE), [atoms])
    (found,) = relax_all([atoms], run.evaluator, settings, store=store)
    if found.converged and found.damage is None:
        return found.atoms, []
    return found.atoms, [f"the crystal did not relax: {found.reason}"]
