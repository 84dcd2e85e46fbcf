"""Teachers with faults, which worker processes import by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.emt import EMT

from ase_geomformer.learning.identity import structure_key


class Faulty(EMT):  # type: ignore[misc]
    """EMT that fails for some structures, and notes each call in a file.

    Parameters
    ----------
    log : str
        File to which the key of each structure asked for is appended.
    share : float
        Share of structures that fail, chosen by their keys.
    times : int
        How often each of them fails before it succeeds.
    how : str
        "raise", "exit" (the process ends), "sleep" (it does not answer) or "nan".
    """

    def __init__(
        self, log: str = os.devnull, share: float = 0.0, times: int = 99, how: str = "raise"
    ) -> None:
        super().__init__()
        self.log, self.share, self.times, self.how = Path(log), share, times, how
        self.parameters.update(log=log)

    def calculate(self, atoms: Atoms, *arguments: Any) -> None:
        key = structure_key(atoms)
        before = self.log.read_text().split().count(key) if self.log.is_file() else 0
        with self.log.open("a") as file:
            file.write(f"{key}\n")
        super().calculate(atoms, *arguments)
        if int(key[:4], 16) / 16**4 < self.share and before < self.times:
            FAULTS[self.how](self)


class Fatal(EMT):  # type: ignore[misc]
    """EMT that ends a process with SIGKILL in one of its calls.

    Parameters
    ----------
    log : str
        File to which a line is appended for each call, of all processes.
    at : int
        Number of the call in which the process ends.
    parent : bool
        Whether the process that started this one is ended, and not this one.
    """

    def __init__(self, log: str, at: int, parent: bool = False) -> None:
        super().__init__()
        self.log, self.at, self.parent = Path(log), at, parent

    def calculate(self, atoms: Atoms, *arguments: Any) -> None:
        line = f"{structure_key(atoms)}\n"
        with self.log.open("a") as file:
            file.write(line)
            # Where this line ends tells the number of the call, which is no other process's.
            file.flush()
            call = file.tell() // len(line)
        if call == self.at:
            os.kill(os.getppid() if self.parent else os.getpid(), signal.SIGKILL)
            time.sleep(1.0)  # a parent that is gone cannot take an answer
        super().calculate(atoms, *arguments)


def _raise(calculator: Faulty) -> None:
    raise RuntimeError("the self-consistent cycle did not converge")


def _exit(calculator: Faulty) -> None:
    os._exit(3)


def _sleep(calculator: Faulty) -> None:
    time.sleep(60.0)


def _nan(calculator: Faulty) -> None:
    calculator.results["forces"][0] = float("nan")


FAULTS = {"raise": _raise, "exit": _exit, "sleep": _sleep, "nan": _nan}
