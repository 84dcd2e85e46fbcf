"""Short runs of learn for tests: Cu3Au from EMT."""

from __future__ import annotations

from dataclasses import replace

from ase import Atoms
from ase.build import bulk

from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.student_settings import StudentSettings

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
# A run of few steps, all of whose parts are there.
SHORT = replace(
    SETTINGS, max_labels=28, rounds=1, steps_per_round=6, explore_fs=80.0, acceptance_ps=0.1
)


def crystal() -> Atoms:
    atoms = bulk("Cu", a=3.72, cubic=True)
    atoms.symbols[0] = "Au"
    return atoms
