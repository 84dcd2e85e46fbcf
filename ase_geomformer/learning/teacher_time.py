"""What the teacher's time means for a run: how many labels there is time for, and who is faster."""

from __future__ import annotations

import time

from ase import Atoms

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.potential import Potential

# Share of the time that the teacher may take.
TEACHER_TIME = 0.4


def timely_labels(settings: LearnSettings, store: LabelStore, budget_s: float) -> int:
    """Calls of the teacher that there is time for, by those that have been made."""
    each = store.median_seconds or 0.0
    time_s = TEACHER_TIME * budget_s * settings.labels.workers
    return int(time_s / max(each, 1e-9))


def faster_teacher(teacher_s: float, potential: Potential, atoms: Atoms) -> str | None:
    """What the user should know where a potential is slower than the teacher; None where not."""
    atoms = atoms.copy()
    atoms.calc = PotentialCalculator(potential)
    atoms.get_forces()
    atoms.rattle(1e-4)
    started = time.perf_counter()
    atoms.get_forces()
    student_s = time.perf_counter() - started
    if student_s <= teacher_s:
        return None
    return (
        f"The teacher takes {1e3 * teacher_s:.3g} ms for this structure and the potential will "
        f"take about {1e3 * student_s:.3g} ms: for systems of this size it will not be faster "
        "than the teacher, on this machine."
    )
