"""Settings of a run of learn, the same in Python, on the command line and in YAML."""

from __future__ import annotations

from dataclasses import dataclass, field

from ase import Atoms

from ase_geomformer.learning.label_settings import LabelSettings
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.plain import take_groups
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# Labels that a budget of one minute is worth, by default; they grow with the root of the time.
LABELS_OF_A_MINUTE = 45
# Time steps of molecules with hydrogen, and of all others, fs.
LIGHT_STEP_FS, HEAVY_STEP_FS = 0.5, 1.0


@dataclass(frozen=True)
class LearnSettings(Shown):
    """What to learn, and what it may cost.

    Attributes
    ----------
    minutes : float
        Wall time, that of earlier parts of a resumed run included.
    target_meV_per_A : float
        Mean absolute error of force components to reach at temperature_K.
    temperature_K : float
        Temperature at which the potential is to be used.
    max_temperature_K : float or None
        Highest temperature that is sampled; by default 1.5 times ``temperature_K``.
    max_strain : float
        Maximum strain of the cell, for structures that are periodic in all directions.
    max_labels : int or None
        Maximum number of calls of the teacher, failed ones included; by default 45 times the root
        of the minutes.
    rounds : int
        Number of rounds of training, exploration and labelling.
    relaxation_steps : int
        Maximum number of steps of the initial relaxation, each of which is a call of the teacher.
    timestep_fs : float or None
        Time step of the dynamics; by default 0.5 with hydrogen and 1 without.
    explore_fs : float
        Length of the dynamics from which each round takes its structures.
    acceptance_ps : float
        Length of the final dynamics at constant energy, which eight trajectories share; shorter
        where the time does not suffice.
    steps_per_round : int or None
        Number of training steps of each round, and twice as many at the end, instead of a share
        of the minutes; the run is then the same on every machine.
    seed : int
        Random seed.
    students : StudentSettings
        The potentials that learn.
    labels : LabelSettings
        How the teacher is asked.

    Raises
    ------
    ValueError
        If a value is out of range, or the highest temperature is not the highest.
    """

    minutes: float = ranged(30.0, 0, 1e6, "min", above=True)
    target_meV_per_A: float = ranged(50.0, 0, 1e5, "meV/Å", above=True)
    temperature_K: float = ranged(300.0, 0, 1e5, "K", above=True)
    max_temperature_K: float | None = ranged(None, 0, 1e5, "K", above=True)
    max_strain: float = ranged(0.03, 0, 0.3)
    max_labels: int | None = ranged(None, 10, 10**7)
    rounds: int = ranged(4, 1, 1000)
    relaxation_steps: int = ranged(15, 0, 10**5)
    timestep_fs: float | None = ranged(None, 0, 100, "fs", above=True)
    explore_fs: float = ranged(500.0, 0, 1e9, "fs", above=True)
    acceptance_ps: float = ranged(50.0, 0, 1e6, "ps", above=True)
    steps_per_round: int | None = ranged(None, 1, 10**9)
    seed: int = ranged(0, 0, 2**32 - 1)
    students: StudentSettings = field(default_factory=StudentSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)

    def __post_init__(self) -> None:
        take_groups(self, students=StudentSettings, labels=LabelSettings)
        check_settings(self)
        if self.hot_K <= self.temperature_K:
            raise ValueError(
                f"max_temperature_K = {self.max_temperature_K:g} is not above temperature_K = "
                f"{self.temperature_K:g}"
            )

    @property
    def hot_K(self) -> float:
        """The highest temperature that is sampled."""
        return self.max_temperature_K or 1.5 * self.temperature_K

    @property
    def label_limit(self) -> int:
        """Maximum number of calls of the teacher."""
        if self.max_labels is not None:
            return self.max_labels
        return max(20, round(LABELS_OF_A_MINUTE * self.minutes**0.5))

    def step_fs(self, atoms: Atoms) -> float:
        """Time step of the dynamics of a structure."""
        if self.timestep_fs is not None:
            return self.timestep_fs
        return LIGHT_STEP_FS if 1 in atoms.numbers else HEAVY_STEP_FS


# What may change when a run resumes.
FREE = ("minutes", "max_labels", "labels", "acceptance_ps", "rounds", "target_meV_per_A")
