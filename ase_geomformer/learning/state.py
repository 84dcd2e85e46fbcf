"""What a run knows of itself, on the disk after each of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.machine.bounded import read_json
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.settings.plain import check_plain

STATE_FILE = "state.json"


@dataclass
class RoundRecord:
    """One round: what was trained, labelled and found.

    Attributes
    ----------
    steps : int
        Training steps of each member up to here.
    train_mae_meV_per_A, validation_mae_meV_per_A : float or None
        Mean error of the members on frames that they have been trained with, and on others.
    need : str
        "labels" or "steps": what the students were short of.
    weights : str
        File of the students after the training.
    random : list of str
        Keys of the structures labelled.
    explore_fs : float or None
        Length of each walk of the exploration; None before it.
    errors : dict
        Of the random structures before they were trained on, see
        :func:`ase_geomformer.learning.unseen.unseen_errors`.
    stopped_walkers, walkers : int
    labels, calls : int
        In the store after the round.
    elapsed_s, training_s, teacher_s : float
        Wall time up to here, that of training and of the teacher's calls.
    """

    steps: int = 0
    train_mae_meV_per_A: float | None = None
    validation_mae_meV_per_A: float | None = None
    need: str = "labels"
    weights: str = ""
    explore_fs: float | None = None
    random: list[str] = field(default_factory=list)
    errors: dict[str, Any] = field(default_factory=dict)
    stopped_walkers: int = 0
    walkers: int = 0
    labels: int = 0
    calls: int = 0
    elapsed_s: float = 0.0
    training_s: float = 0.0
    teacher_s: float = 0.0
    complete: bool = False

    def close(
        self, frames: Sequence[Frame], store: LabelStore, training_s: float, elapsed_s: float
    ) -> None:
        """Note what was labelled and what it took; the round is then complete."""
        self.random = [structure_key(frame.atoms) for frame in frames]
        self.labels, self.calls = len(store), store.calls
        self.teacher_s, self.training_s = sum(store.seconds), training_s
        self.elapsed_s, self.complete = elapsed_s, True

    @property
    def line(self) -> str:
        """The round in one line."""

        def text(value: float | None) -> str:
            return "-" if value is None else f"{value:.0f}"

        return (
            f"{self.calls} calls, {self.steps} steps; force error in meV/Å: training "
            f"{text(self.train_mae_meV_per_A)}, validation {text(self.validation_mae_meV_per_A)}, "
            f"new structures {text(self.errors.get('use_meV_per_A'))} (hot: "
            f"{text(self.errors.get('hot_meV_per_A'))}); short of {self.need}"
        )


@dataclass
class AcceptanceRecord:
    """What :class:`ase_geomformer.learning.acceptance.Acceptance` holds, frames by their keys.

    ``asked_ps`` is the length of the dynamics at constant energy that the settings asked for;
    None in runs of earlier versions.
    """

    drift_meV_per_atom_per_ps: float | None
    nve_ps: float
    walkers: int
    stopped: int
    selftest: str
    errors: dict[str, float | None]
    frames: list[str]
    asked_ps: float | None = None


@dataclass
class RunState:
    """A run under way.

    Attributes
    ----------
    elapsed_s, training_s : float
        Wall time of all processes that worked on it, and that of training.
    initial : dict
        ``keys`` of the first labels, the number of ``structures`` that the teacher was asked for,
        ``minimum`` and ``amplitude``; empty before them.
    rounds : list of RoundRecord
    begun_s, begun_rounds, begun_calls, begun_weights : float, int, int, str
        Where the present part of the run began: a run that is resumed after its end has several.
    labels : int or None
        Calls of the teacher that the present part may make, once that is known.
    final_weights : str
        File of the students after the last training of the present part.
    acceptance_fs : float or None
        Length of each walk of the acceptance; None before it.
    acceptance : AcceptanceRecord or None
        What the acceptance found; None before it.
    finished : bool
        Whether the present part is over, and all its files are there.
    notes : list of str
    """

    elapsed_s: float = 0.0
    training_s: float = 0.0
    initial: dict[str, Any] = field(default_factory=dict)
    rounds: list[RoundRecord] = field(default_factory=list)
    begun_s: float = 0.0
    begun_rounds: int = 0
    begun_calls: int = 0
    begun_weights: str = ""
    labels: int | None = None
    final_weights: str = ""
    acceptance_fs: float | None = None
    acceptance: AcceptanceRecord | None = None
    finished: bool = False
    notes: list[str] = field(default_factory=list)

    def begin_part(self, elapsed_s: float, calls: int) -> None:
        """Begin another part, after the last one has ended, with the weights that it left."""
        self.finished = False
        self.begun_s, self.begun_rounds, self.begun_calls = elapsed_s, len(self.rounds), calls
        self.begun_weights, self.final_weights = self.final_weights, ""
        self.labels, self.acceptance_fs, self.acceptance = None, None, None

    def save(self, folder: Path) -> None:
        """Write, atomically."""
        write_text(folder / STATE_FILE, to_json(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> RunState:
        """The state in a folder; a new one where there is none.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        path = folder / STATE_FILE
        if not path.exists():
            return cls()
        content = read_json(path)
        try:
            check_plain(content, cls, "")
            _check_counts(content)
            rounds = [RoundRecord(**entry) for entry in content["rounds"]]
            found = content.get("acceptance")
            acceptance = None if found is None else AcceptanceRecord(**found)
            return cls(**{**_mapping(content), "rounds": rounds, "acceptance": acceptance})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is not the state of a run of learn: {error}") from error


def _check_counts(content: Mapping[str, Any]) -> None:
    """Times and counts are not negative."""
    held_places = [("", content), ("acceptance.", content.get("acceptance") or {})]
    held_places += [(f"rounds[{index}].", held) for index, held in enumerate(content["rounds"])]
    for place, held in held_places:
        for name, value in held.items():
            if isinstance(value, int | float) and value < 0 and not name.endswith("_meV"):
                raise ValueError(f"{place}{name} is {value}")


def _mapping(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError("it is not a mapping")
    return content
