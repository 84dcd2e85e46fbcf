"""Choosing structures to label, with or without potentials."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ase import Atoms

from ase_geomformer.committee import folders, is_committee
from ase_geomformer.learning.committee_errors import predict
from ase_geomformer.learning.selection import (
    diverse,
    farthest_points,
    select_uncertain,
    uncertainty,
)
from ase_geomformer.registry import load_potential
from ase_geomformer.runtime.descriptors import descriptors, structure_rows
from ase_geomformer.runtime.prepared import prepare


def select(
    structures: Sequence[Atoms],
    number: int,
    *,
    known: Sequence[Atoms] = (),
    potentials: str | os.PathLike[str] | Sequence[str] | None = None,
) -> tuple[list[int], list[float] | None]:
    """Choose structures that differ from known ones and from one another.

    Parameters
    ----------
    structures : sequence of ase.Atoms
    number : int
        How many to choose; all, if there are no more.
    known : sequence of ase.Atoms
        Structures that have labels already.
    potentials : str, path or sequence of str, optional
        Two or more potentials, or a folder of several: structures whose forces they disagree on
        are preferred. One potential: structures are told apart by its descriptors, not by
        distances of atoms.

    Returns
    -------
    list of int
        Indices, in the order in which they were chosen.
    list of float or None
        Largest spread of an atom's force in each structure, eV/Å; None without a committee.

    Raises
    ------
    ValueError
        If a list holds a single potential: give it by itself.
    """
    if potentials is None:
        return diverse(structures, known, number), None
    if isinstance(potentials, str | os.PathLike) and not is_committee(potentials):
        prepared = prepare(potentials, device="cpu")
        rows = [structure_rows(descriptors(prepared, part)) for part in (structures, known)]
        width = rows[0].shape[-1]
        return farthest_points(rows[0], rows[1].reshape(-1, width), number), None
    names = folders(potentials) if isinstance(potentials, str | os.PathLike) else potentials
    if len(names) < 2:
        raise ValueError(f"a spread needs two potentials at least, not {potentials!r}")
    predicted = predict([load_potential(name) for name in names], structures)
    chosen = select_uncertain(structures, predicted, known, number)
    return chosen, [uncertainty(one) for one in predicted]
