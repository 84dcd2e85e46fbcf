"""Resuming a relaxation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.io.trajectory import Trajectory

from ase_geomformer.machine.bounded_structures import read_checked
from ase_geomformer.machine.files import atomic_file


class Replay(Calculator):
    """Takes results from the frames of a trajectory, and from a calculator elsewhere.

    Optimizers are deterministic: repeated from its start, a relaxation takes the same steps, and
    the frames replace their evaluation. The internal state of the optimizer is then what it was
    when the run stopped.

    Parameters
    ----------
    calculator : ASE calculator
    frames : list of ase.Atoms
        With the results that the calculator gave.
    """

    def __init__(self, calculator: Calculator, frames: list[Atoms]) -> None:
        super().__init__()
        self.calculator = calculator
        self.implemented_properties = list(calculator.implemented_properties)
        self.evaluations = 0
        self._known = {_place(frame): frame.calc.results for frame in frames}

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Look a structure up, or evaluate it."""
        super().calculate(atoms, properties, system_changes)
        if system_changes:
            self.results = {}
        known = self._known.get(_place(atoms), {})
        if all(name in known for name in properties):
            self.results.update(known)
            return
        self.evaluations += 1
        self.results.update({name: self._ask(name, atoms) for name in properties})

    def _ask(self, name: str, atoms: Atoms) -> Any:
        return self.calculator.get_property(name, atoms)

    def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
        """A property; the energy is the free energy too where that is not known."""
        if name == "free_energy" and name not in self.implemented_properties:
            name = "energy"
        return super().get_property(name, atoms, allow_calculation)


class StoredFrames:
    """The trajectory of a relaxation, which a resumed one adds to.

    Parameters
    ----------
    path : Path
    number : int
        StoredFrames that it holds already.
    """

    def __init__(self, path: Path, number: int = 0) -> None:
        self.path, self.number = path, number

    def write(self, step: int, frame: Atoms) -> None:
        """Add the frame of a step, unless it is in the file."""
        if step < self.number:
            return
        if step == 0:  # an empty file would be no trajectory
            with atomic_file(self.path) as temporary, Trajectory(temporary, "w") as first:
                first.write(frame)
            return
        with Trajectory(self.path, "a") as trajectory:
            trajectory.write(frame)


def read_frames(path: Path) -> list[Atoms]:
    """The frames of a trajectory; none if there is no file."""
    return read_checked(path, format="traj") if path.is_file() else []


def _place(atoms: Atoms) -> tuple[bytes, bytes]:
    return atoms.positions.tobytes(), atoms.cell.array.tobytes()
