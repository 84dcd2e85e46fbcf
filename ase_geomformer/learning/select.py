"""Choosing structures to label, with or without potentials."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ase import Atoms

from ase_geomformer.committee import folders, is_committee
from ase_geomformer.learning.committee_errors import predict
from ase_geomformer.learning.selection import diverse, select_uncertain, uncertainty
from ase_geomformer.registry import load_potential


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
    potentials : sequence of str, or path, optional
        Two or more potentials, or a folder of several: structures whose forces they disagree on
        are preferred.

    Returns
    -------
    list of int
        Indices, in the order in which they were chosen.
    list of float or None
        Largest spread of an atom's force in each structure, eV/Å; None without potentials.

    Raises
    ------
    ValueError
        If there is only one potential.
    """
    if potentials is None:
        return diverse(structures, known, number), None
    if not is_committee(potentials):
        raise ValueError(f"{potentials!r} is a single potential, which has no spread; give several")
    names = folders(potentials) if isinstance(potentials, str | os.PathLike) else potentials
    if len(names) < 2:
        raise ValueError(f"a spread needs two potentials at least, not {potentials!r}")
    predicted = predict([load_potential(name) for name in names], structures)
    chosen = select_uncertain(structures, predicted, known, number)
    return chosen, [uncertainty(one) for one in predicted]
