"""What this process has for the driver of its i-PI, in place of a potential by its name."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from ase import Atoms

from ase_geomformer.evaluate import Evaluator


@dataclass(frozen=True, eq=False)
class Given:
    """An evaluator and the structure, in the orientation of i-PI, whose replicas it evaluates."""

    evaluate: Evaluator
    atoms: Atoms


GIVEN: ContextVar[Given | None] = ContextVar("GIVEN", default=None)
