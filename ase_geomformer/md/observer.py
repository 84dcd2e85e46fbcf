"""Functions of the user that are called during a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ase import Atoms

from ase_geomformer.md.simulation import Simulation


@dataclass(frozen=True)
class Observer:
    """A function to call at an interval of steps, step 0 included.

    Attributes
    ----------
    function : callable
        Called with the present atoms and the step. Atoms change from call to call: keep copies.
        Energy, forces and, under a barostat, stress of the atoms cost nothing.
    interval : int
        Steps between calls.

    Raises
    ------
    ValueError
        If the interval is not a positive whole number.
    """

    function: Callable[[Atoms, int], object]
    interval: int = 1

    def __post_init__(self) -> None:
        if self.interval != int(self.interval) or self.interval < 1:
            raise ValueError(f"interval = {self.interval!r} must be a positive whole number")

    def __call__(self, simulation: Simulation) -> None:
        self.function(simulation.atoms, simulation.step)
