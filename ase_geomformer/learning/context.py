"""What all parts of a run share: labels, students in training, time, and what the user is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.labelling import label_structures
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.side_by_side import Allowance
from ase_geomformer.learning.state import RunState
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.students import Students
from ase_geomformer.learning.teacher import Labeller
from ase_geomformer.machine.display import Console
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.report import progress_bar


class LearnContext:
    """A run under way, as its parts see it.

    Parameters
    ----------
    settings : LearnSettings
    store : LabelStore
    labeller : Labeller
    state : RunState
    folder : RunFolder
    started : float
        Monotonic time at which this process began.
    progress : bool
    """

    def __init__(
        self,
        settings: LearnSettings,
        store: LabelStore,
        labeller: Labeller,
        state: RunState,
        folder: RunFolder,
        started: float,
        progress: bool,
    ) -> None:
        assert folder.path is not None
        self.settings, self.store, self.labeller = settings, store, labeller
        self.state, self.progress = state, progress
        self.folder, self.path = folder, folder.path
        self._started, self._before = started, state.elapsed_s
        self.reserved = 0  # calls of the teacher that later parts of the run need

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run, that of earlier processes included."""
        return self._before + time.monotonic() - self._started

    @property
    def left_s(self) -> float:
        """Wall time that is left."""
        return 60.0 * self.settings.minutes - self.elapsed_s

    @property
    def timed(self) -> bool:
        """Whether minutes limit the run, and not numbers of steps."""
        return self.settings.steps_per_round is None

    @property
    def calls_left(self) -> int:
        """Calls of the teacher that may be made now."""
        return max(0, self.call_limit - self.reserved - self.store.calls)

    @property
    def call_limit(self) -> int:
        """Calls of the teacher that there may be at the end of the present part of the run."""
        limit, labels = self.settings.label_limit, self.state.labels
        return limit if labels is None else min(limit, self.state.begun_calls + labels)

    def labels(self, structures: Sequence[Atoms], origin: str) -> list[Frame | None]:
        """Have structures labelled, as far as there are calls left."""
        return label_structures(
            structures,
            self.labeller,
            self.store,
            origin=origin,
            calls=self.calls_left,
            progress=self.progress and len(structures) > 1,
        ).frames

    def frames(self) -> list[Frame]:
        """All labels so far, in the order in which they were asked for."""
        keys = [*self.state.initial["keys"]]
        for record in self.state.rounds:
            keys += record.random
        return self.frames_of(keys)

    def frames_of(self, keys: Sequence[str]) -> list[Frame]:
        """The labelled structures of these keys, each once."""
        found = [self.store.frame(key) for key in dict.fromkeys(keys)]
        return [frame for frame in found if frame is not None]

    def train(
        self,
        students: Students,
        frames: Sequence[Frame],
        allowance: Allowance,
        schedule: Callable[[float], float],
        name: str,
    ) -> None:
        """Train students under a progress bar of this name."""
        started = time.monotonic()
        with progress_bar(name, 100, self.progress) as advance:

            def tell(progress: float) -> None:
                advance(round(100 * progress), lambda: f"step {students.steps}")

            students.train(frames, allowance, schedule, tell)
            advance(100)
        self.state.training_s += time.monotonic() - started

    def save(self) -> None:
        """Bring the state to the disk."""
        self.state.elapsed_s = self.elapsed_s
        self.state.save(self.path)

    def note(self, text: str) -> None:
        """Keep something that the user should know, and say it once."""
        if text not in self.state.notes:
            self.state.notes.append(text)
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line, where progress is shown."""
        if self.progress:
            Console().print(text, highlight=False, markup=False)
