"""Several members that train at the same time, in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import repeat, takewhile

import torch

# Steps of a member before the thread looks which one is behind.
SLICE = 10


@dataclass(frozen=True)
class Allowance:
    """How much a training may take: seconds, or a number of steps.

    Attributes
    ----------
    seconds : float or None
    steps : int or None
        Steps of each member, instead of seconds.
    """

    seconds: float | None = None
    steps: int | None = None

    def used(self, made: int, seconds: float) -> float:
        """Part of the allowance that is used after so many steps and seconds; 1 is all."""
        if self.steps is not None:
            return made / max(1, self.steps)
        return seconds / max(1e-9, self.seconds or 0.0)


class SideBySide:
    """Makes the steps of several members, as many of each.

    A step of a small potential keeps one core busy with small operations, which more threads of
    torch do not speed up. So each thread here has one member at a time, and takes the one that is
    most behind next; torch's threads are divided among them.

    Parameters
    ----------
    members : sequence of callable
        Make one step of a member, given the progress of the training from 0 to 1.
    allowance : Allowance
    show : callable
        Told of that progress.
    """

    def __init__(
        self,
        members: Sequence[Callable[[float], None]],
        allowance: Allowance,
        show: Callable[[float], None],
    ) -> None:
        self.members, self.allowance, self.show = members, allowance, show
        self.made = [0] * len(members)
        self._idle = set(range(len(members)))
        self._lock, self._stopped = threading.Lock(), threading.Event()

    def run(self) -> int:
        """Train until the allowance is used up; the number of steps of each member."""
        threads = torch.get_num_threads()
        workers = min(threads, len(self.members))
        self._started = time.monotonic()
        # A thread that computes for the first time takes the number that was set last.
        torch.set_num_threads(max(1, threads // workers))
        try:
            if workers == 1:
                self._work()
            else:
                self._spread(workers)
        finally:
            torch.set_num_threads(threads)
        return self.made[0]

    def _spread(self, workers: int) -> None:
        with ThreadPoolExecutor(workers) as pool:
            try:
                for done in as_completed([pool.submit(self._work) for _ in range(workers)]):
                    done.result()
            finally:
                self._stopped.set()

    def _work(self) -> None:
        """Make steps of whichever member is most behind, until all have made theirs."""
        with torch.enable_grad():
            while not self._stopped.is_set():
                with self._lock:
                    index = min(self._idle, key=lambda one: (self.made[one], one))
                    self._idle.remove(index)
                made = sum(1 for _ in takewhile(self._step, repeat(index, SLICE)))
                with self._lock:
                    self._idle.add(index)
                if not made:
                    return

    def _step(self, index: int) -> bool:
        """One step of a member; False if it has made all of its steps."""
        seconds = time.monotonic() - self._started
        used = self.allowance.used(self.made[index], seconds)
        if used >= 1.0 and self.made[index] >= max(self.made):
            return False
        progress = min(1.0, used)
        self.members[index](progress)
        self.made[index] += 1
        self.show(progress)
        return True
