"""Labelling structures: each one once, failures twice, everything kept."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.teacher import Labeller
from ase_geomformer.runs.report import progress_bar

# Share of failed calls above which the user is told, and from how many calls on.
TOO_MANY_FAILURES, FROM_CALLS = 0.2, 5


class TeacherWarning(UserWarning):
    """Many calls of the teacher fail."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Structures after labelling.

    Attributes
    ----------
    frames : list of Frame or None
        One for each structure, in order; None where the teacher has failed.
    calls : int
        Calls of the teacher that this took; structures that had a label took none.
    """

    frames: list[Frame | None]
    calls: int

    @property
    def found(self) -> list[Frame]:
        """The frames that have labels, each once."""
        return list({id(frame): frame for frame in self.frames if frame is not None}.values())


def label_structures(
    structures: Sequence[Atoms],
    labeller: Labeller,
    store: LabelStore,
    *,
    origin: str = "given",
    calls: int | None = None,
    progress: bool = False,
) -> Labelled:
    """Label structures that have no label yet.

    A failed call is repeated once, after all others; a structure that failed twice is set aside.

    Parameters
    ----------
    structures : sequence of ase.Atoms
    labeller : Labeller
    store : LabelStore
        Each answer is in it before the next one is waited for.
    origin : str
        How the structures came about, for the store.
    calls : int, optional
        Maximum number of calls of the teacher, failed ones included; structures beyond them stay
        without a label. No limit if left out.
    progress : bool
        Show a progress bar.

    Warns
    -----
    TeacherWarning
        If more than a fifth of all calls have failed.
    """
    keys = [structure_key(atoms) for atoms in structures]
    by_key = dict(zip(keys, structures, strict=True))
    before = store.calls
    with progress_bar("Labelling", len(by_key), progress) as advance:
        while True:
            waiting = [k for k in by_key if store.frame(k) is None and store.attempts_left(k)]
            if calls is not None:
                waiting = waiting[: max(0, calls - (store.calls - before))]
            if not waiting:
                break
            for index, answer in labeller([by_key[key] for key in waiting]):
                store.add(by_key[waiting[index]], answer, origin)
                advance(sum(store.frame(key) is not None for key in by_key))
        advance(len(by_key))
    _warn(store)
    return Labelled([store.frame(key) for key in keys], store.calls - before)


def _warn(store: LabelStore) -> None:
    failures = store.failures
    if store.calls >= FROM_CALLS and len(failures) > TOO_MANY_FAILURES * store.calls:
        warnings.warn(
            f"{len(failures)} of {store.calls} calls of the teacher have failed, the last one "
            f"with: {failures[-1].reason}",
            TeacherWarning,
            stacklevel=3,
        )
