"""Whether structures resemble the training data of the potential that evaluates them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ase import Atoms
from torch import Tensor

from ase_geomformer.confidence.statistics import Confidence
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.readout import energy_head
from ase_geomformer.potential import Potential

# A structure that moves is checked again after so many evaluations.
INTERVAL = 100


class DomainError(ValueError):
    """A structure is unlike the training data."""


class DomainWarning(UserWarning):
    """A structure is unlike the training data."""


class DomainCheck:
    """Looks at some of the structures that a calculator evaluates, and warns once.

    A structure is checked when it is new, in more than positions and cell, and after every
    :data:`INTERVAL` evaluations.

    Parameters
    ----------
    mode : str
        warn, error or ignore.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._since = 0
        self._done = mode == "ignore"

    def due(self, potential: Potential, *, new: bool) -> bool:
        """Whether the structure that is evaluated now is to be checked."""
        if self._done:
            return False
        self._since = 0 if new else self._since + 1
        return self._since % INTERVAL == 0 and confidence_of(potential) is not None

    def check(
        self,
        potential: Potential,
        graph: AtomGraph,
        members: Sequence[Atoms],
        features: Tensor,
    ) -> None:
        """Warn or refuse if an atom of a graph's structures is outside of the domain.

        Raises
        ------
        DomainError
            In the mode ``error``.
        """
        confidence = confidence_of(potential)
        if confidence is None or self._done:
            return
        reason = outside(confidence, graph, features, members)
        if reason is None:
            return
        if self.mode == "error":
            raise DomainError(f"{reason}; domain='warn' or 'ignore' evaluates it")
        self._done = True
        warnings.warn(
            f"{reason}, so that errors may be much larger than those on the potential's card; "
            "domain='error' refuses such structures, domain='ignore' says nothing",
            DomainWarning,
            stacklevel=2,
        )


def confidence_of(potential: Potential) -> Confidence | None:
    """Statistics of a potential's training data, if there are any and they are of its weights."""
    confidence = potential.confidence
    card = potential.card
    if confidence is None or card is None or confidence.sha256 != card.sha256:
        return None
    return None if energy_head(potential.architecture) is None else confidence


def known_confidence(potential: Potential) -> Confidence:
    """The same; ValueError where there are none."""
    confidence = confidence_of(potential)
    if confidence is None:
        name = potential.card.name if potential.card else "the potential"
        raise ValueError(
            f"{name} has no statistics of its training data (confidence.safetensors in its "
            "folder), from which domain and uncertainties are computed"
        )
    return confidence


def outside(
    confidence: Confidence, graph: AtomGraph, features: Tensor, members: Sequence[Atoms]
) -> str | None:
    """Why structures are outside of the domain; None if they are not.

    The worst pair of atoms is named where one is closer than all in the training data, else the
    atom whose surroundings differ most.
    """
    numbers, edges = graph.atomic_numbers.cpu(), graph.edge_index.cpu()
    distances = graph.edge_vectors.detach().norm(dim=1).cpu()
    pair = confidence.close_pair(distances, *numbers[edges])
    if pair is not None:
        first, second = (int(index) for index in edges[:, pair])
        least = float(confidence.least_distances(*numbers[edges[:, pair, None]]))
        return (
            f"{_name(members, first)} and {_name(members, second)} are "
            f"{float(distances[pair]):.3g} Å apart, and such atoms at least {least:.3g} Å in the "
            f"training data ({confidence.data})"
        )
    grades = confidence.grades(features.cpu(), numbers)
    worst = int(grades.argmax())
    grade = float(grades[worst])
    if not grade > 1.0:
        return None
    return (
        f"the surroundings of {_name(members, worst)} are unlike those in the training data "
        f"({confidence.data}): extrapolation grade {grade:.3g}, where up to 1 is known"
    )


def _name(members: Sequence[Atoms], index: int) -> str:
    """An atom of a batch, by its element and place in its structure."""
    for place, atoms in enumerate(members):
        if index < len(atoms):
            where = f" of structure {place} ({atoms.symbols})" if len(members) > 1 else ""
            return f"{atoms.symbols[index]} atom {index}{where}"
        index -= len(atoms)
    return f"atom {index}"
