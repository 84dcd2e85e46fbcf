"""Labels that are possible but look like mistakes.

Such frames are kept: only who made them can tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from ase_geomformer.data.frames import Frame, geometry_checksum

# Forces of atoms that a reference calculation cannot mean to have met, eV/Å.
ABSURD_FORCE = 1000.0
# Energies of one composition differ less than this, eV/atom: melting takes 0.1, breaking all bonds
# 2 to 9. A frame in hartree or kcal/mol among those in eV is far outside.
ENERGY_RANGE = 10.0
# A component of stress above this, 800 GPa, is hardly ever meant, eV/Å^3; virials in eV exceed it.
ABSURD_STRESS = 5.0
# What a stress may differ from its transpose by: a share of its largest component, and eV/Å^3.
ASYMMETRY = 1e-2, 1e-4
# A box at least this long in Å holds one atom by itself, whatever the code calls it.
LONE_BOX = 8.0
# Of the frames of one kind, how many are named.
NAMED = 5


def doubts(frames: Sequence[Frame]) -> Iterator[str]:
    """One message for each kind of suspicious frame, naming the first ones."""
    for find, what, remedy in (
        (
            absurd_forces,
            f"have a force above {ABSURD_FORCE:g} eV/Å",
            "check forces_unit, or set max_force",
        ),
        (
            stray_energies,
            f"are more than {ENERGY_RANGE:g} eV/atom from others of their composition",
            "are all in one unit, from one method?",
        ),
        (
            absurd_stresses,
            f"have a stress above {ABSURD_STRESS:g} eV/Å^3 (800 GPa)",
            "check stress_unit; a virial is in eV, and must be divided by the volume",
        ),
        (
            asymmetric_stresses,
            "have a stress that is not symmetric",
            "is it a stress, and in the order xx xy xz yx yy yz zx zy zz?",
        ),
        (
            boxed_atoms,
            f"hold one atom in a periodic box of more than {LONE_BOX:g} Å",
            "for energies of free atoms to become reference energies, give such frames "
            "config_type=IsolatedAtom or open boundaries",
        ),
        (
            repeated,
            "repeat the structure of an earlier one",
            "in a random split they may be trained and tested on",
        ),
    ):
        found = find(frames)
        if found:
            named = "; ".join(frames[index].where for index in found[:NAMED])
            more = "; and so on" if len(found) > NAMED else ""
            yield f"{len(found)} of {len(frames)} frames {what} ({named}{more}): {remedy}"


def absurd_forces(frames: Sequence[Frame]) -> list[int]:
    """Indices of frames with an implausibly large force."""
    return [
        index
        for index, frame in enumerate(frames)
        if frame.forces is not None and np.abs(frame.forces).max() > ABSURD_FORCE
    ]


def absurd_stresses(frames: Sequence[Frame]) -> list[int]:
    """Indices of frames with an implausibly large stress."""
    return [
        index
        for index, frame in enumerate(frames)
        if frame.stress is not None and np.abs(frame.stress).max() > ABSURD_STRESS
    ]


def asymmetric_stresses(frames: Sequence[Frame]) -> list[int]:
    """Indices of frames with an asymmetric stress tensor."""
    share, least = ASYMMETRY
    return [
        index
        for index, frame in enumerate(frames)
        if frame.stress is not None
        and np.abs(frame.stress - frame.stress.T).max()
        > max(least, share * np.abs(frame.stress).max())
    ]


def boxed_atoms(frames: Sequence[Frame]) -> list[int]:
    """Indices of frames with an isolated atom that is not marked as such."""
    return [
        index
        for index, frame in enumerate(frames)
        if len(frame.atoms) == 1
        and frame.energy is not None
        and not frame.is_isolated_atom
        and frame.atoms.cell.lengths()[frame.atoms.pbc].min() > LONE_BOX
    ]


def stray_energies(frames: Sequence[Frame]) -> list[int]:
    """Indices of frames whose energy is far from the median for their composition."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        if frame.energy is not None:
            groups[tuple(np.bincount(frame.atoms.numbers))].append(index)
    found: list[int] = []
    for members in groups.values():
        energies = np.array([frames[index].energy for index in members], dtype=float)
        apart = np.abs(energies - np.median(energies)) / len(frames[members[0]].atoms)
        found += [index for index, by in zip(members, apart, strict=True) if by > ENERGY_RANGE]
    return sorted(found)


def repeated(frames: Sequence[Frame]) -> list[int]:
    """Indices of frames that repeat the geometry of an earlier frame."""
    known: set[str] = set()
    found = []
    for index, frame in enumerate(frames):
        # The same structure with another charge or spin is another one.
        state = (frame.atoms.info.get("charge"), frame.atoms.info.get("spin"))
        key = f"{geometry_checksum([frame])} {state}"
        if key in known:
            found.append(index)
        known.add(key)
    return found
