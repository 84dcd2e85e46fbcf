"""How a budget of labels and of time is shared among the parts of a run."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms

from ase_geomformer.learning.settings import LearnSettings

# Share of the labels before the first round, the most that these may take, and the share after the
# last round.
INITIAL_LABELS, MOST_INITIAL_LABELS, FINAL_LABELS = 0.2, 0.5, 0.2
# The verdict should have some, and needs one of each temperature in both tests.
ENOUGH_FINAL, FEWEST_FINAL = 12, 4
# First labels that tell the size of displacements, and the fewest displacements of that size.
PILOTS, FEWEST_SAMPLES = 3, 6
# Share of the time for the training in all rounds, for their exploration, and for the acceptance;
# the rest is for the final training, and should not fall below its share.
ROUNDS_TIME, EXPLORATION_TIME, ACCEPTANCE_TIME, FINAL_TIME = 0.4, 0.12, 0.18, 0.2


@dataclass(frozen=True)
class Plan:
    """Numbers of labels, and seconds.

    Attributes
    ----------
    per_round : int
        Maximum number of labels of each round.
    final : int
        Labels that are kept for the acceptance.
    round_s, explore_s : float
        Time for the training, and for the exploration, of each round.
    acceptance_s, end_s : float
        Time for the acceptance, and for all that follows the rounds.
    """

    per_round: int
    final: int
    round_s: float
    explore_s: float
    acceptance_s: float
    end_s: float

    @classmethod
    def of(cls, settings: LearnSettings, *, labels: int, first: int, seconds: float) -> Plan:
        """Share what is left among the parts of a run, or of one that is resumed.

        Parameters
        ----------
        settings : LearnSettings
        labels : int
            Calls of the teacher that the run, or its present part, may make.
        first : int
            Structures that were labelled before its rounds.
        seconds : float
            Time that it may take.
        """
        final = final_labels(labels)
        return cls(
            per_round=max(0, labels - first - final) // settings.rounds,
            final=final,
            round_s=ROUNDS_TIME * seconds / settings.rounds,
            explore_s=EXPLORATION_TIME * seconds / settings.rounds,
            acceptance_s=ACCEPTANCE_TIME * seconds,
            end_s=(FINAL_TIME + ACCEPTANCE_TIME) * seconds,
        )


def fewest_labels(atoms: Atoms, *, first: bool) -> int:
    """Calls of the teacher without which a run, or a further part of one, cannot be judged."""
    return FEWEST_FINAL + (fewest_initial_labels(atoms) if first else 0)


def fewest_initial_labels(atoms: Atoms) -> int:
    """Isolated atoms, the structure itself and displacements of it."""
    return len(set(atoms.numbers)) + 1 + PILOTS + FEWEST_SAMPLES


def initial_labels(labels: int) -> tuple[int, int]:
    """How many of all labels are for before the first round, and the most that they may be."""
    return round(INITIAL_LABELS * labels), round(MOST_INITIAL_LABELS * labels)


def acceptance_labels(final: int, left: int) -> int:
    """Labels of the acceptance, with those that the rounds have left: up to twice as many."""
    return max(final, min(2 * final, left))


def final_labels(labels: int) -> int:
    """How many of all labels are for the acceptance."""
    return max(FEWEST_FINAL, min(max(ENOUGH_FINAL, round(FINAL_LABELS * labels)), labels // 3))
