"""Short runs of learn for tests: Cu3Au from EMT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ase import Atoms
from ase.build import bulk

from ase_geomformer.learning import acceptance
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.runs.folder import RunFolder

TINY = {
    "cutoff": 4.0,
    "num_features": 16,
    "num_layers": 1,
    "num_heads": 2,
    "num_radial_basis": 8,
    "energy_width": 16,
}
STUDENTS = StudentSettings(members=2, settings=TINY)
SETTINGS = LearnSettings(
    max_labels=60,
    rounds=2,
    steps_per_round=150,
    target_meV_per_A=200.0,
    relaxation_steps=3,
    timestep_fs=4.0,
    explore_fs=120.0,
    acceptance_ps=8.0,
    students=STUDENTS,
)
# A run of few steps, all of whose parts are there. Its dynamics give fewer structures than may be
# labelled, so that a call that is made twice has room.
SHORT = replace(
    SETTINGS, max_labels=40, rounds=1, steps_per_round=6, explore_fs=20.0, acceptance_ps=0.1
)


def crystal() -> Atoms:
    atoms = bulk("Cu", a=3.72, cubic=True)
    atoms.symbols[0] = "Au"
    return atoms


@contextmanager
def without_extras() -> Iterator[None]:
    """Runs here draw no figures and make no self-test: half of the time of a short one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(acceptance, "selftest", lambda *_: SimpleNamespace(problem=""))
        patched.setattr(RunFolder, "save_figure", lambda *_: None)
        yield
