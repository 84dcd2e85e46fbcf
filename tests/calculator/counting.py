"""How often a calculator evaluates its potential."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ase_geomformer import PotentialCalculator


@contextmanager
def evaluations(calculator: PotentialCalculator) -> Iterator[list[str]]:
    """Collects, for every evaluation of the architecture, whether a gradient followed."""
    seen: list[str] = []
    handle = calculator.potential.architecture.register_forward_hook(
        lambda module, inputs, outputs: seen.append(
            "gradient" if outputs["energies"].requires_grad else "energy"
        )
    )
    yield seen
    handle.remove()
