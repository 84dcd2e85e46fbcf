"""How a budget of labels and of time is shared among the parts of a run."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.learning.settings import LearnSettings

# Share of the labels before the first round, and after the last one.
INITIAL_LABELS, FINAL_LABELS = 0.2, 0.2
# The verdict needs some, of both temperatures.
FEWEST_FINAL = 12
# Share of the time for the training in all rounds, for their exploration, and for the acceptance;
# the rest is for the final training, and should not fall below its share.
ROUNDS_TIME, EXPLORATION_TIME, ACCEPTANCE_TIME, FINAL_TIME = 0.4, 0.12, 0.18, 0.2


@dataclass(frozen=True)
class Plan:
    """Numbers of labels, and seconds.

    Attributes
    ----------
    initial : int
        Labels before the first round.
    per_round : int
        Maximum number of labels of each round.
    final : int
        Labels of the acceptance.
    round_s, explore_s : float
        Time for the training, and for the exploration, of each round.
    acceptance_s, end_s : float
        Time for the acceptance, and for all that follows the rounds.
    """

    initial: int
    per_round: int
    final: int
    round_s: float
    explore_s: float
    acceptance_s: float
    end_s: float

    @classmethod
    def of(cls, settings: LearnSettings, *, labels: int, seconds: float, first: bool) -> Plan:
        """Share what is left among the parts of a run, or of one that is resumed.

        Parameters
        ----------
        settings : LearnSettings
        labels : int
            Calls of the teacher that are left.
        seconds : float
            Time that is left.
        first : bool
            Whether there are no initial labels yet.
        """
        initial = round(INITIAL_LABELS * labels) if first else 0
        final = max(2, min(max(FEWEST_FINAL, round(FINAL_LABELS * labels)), labels // 3))
        per_round = max(2, (labels - initial - final) // settings.rounds)
        return cls(
            initial=initial,
            per_round=per_round,
            final=final,
            round_s=ROUNDS_TIME * seconds / settings.rounds,
            explore_s=EXPLORATION_TIME * seconds / settings.rounds,
            acceptance_s=ACCEPTANCE_TIME * seconds,
            end_s=(FINAL_TIME + ACCEPTANCE_TIME) * seconds,
        )
