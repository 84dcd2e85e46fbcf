"""Calculators that several threads may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer.machine.lock import Lock


class LockedCalculator(Calculator):
    """An ASE calculator that answers one request at a time.

    ASE compares the structure with the one before, calculates, stores the results and reads them
    again. Between these steps another thread's structure must not come in: each thread waits for
    the request before, and receives the results of its own atoms. What is read from ``results``
    is that of the latest request of any thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """A property of a structure, calculated if it is not the one before."""
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def calculate_properties(self, atoms: Atoms, properties: Sequence[str]) -> Any:
        """Several properties of a structure at once."""
        with self._lock:
            return super().calculate_properties(atoms, properties)
