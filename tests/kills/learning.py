"""A short learning of a potential, for killing it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ase.build import bulk
from ase.calculators.emt import EMT

from tests.kills.work import Twice, Verb

TINY = {
    "cutoff": 3.0, "num_features": 16, "num_layers": 1, "num_heads": 2, "num_radial_basis": 8,
    "energy_width": 8,
}  # fmt: skip


def learn() -> Verb:
    from ase_geomformer import learn as recipe
    from ase_geomformer.learning.settings import LearnSettings
    from ase_geomformer.learning.state import RunState
    from ase_geomformer.learning.student_settings import StudentSettings

    settings = LearnSettings(
        max_labels=24, rounds=1, steps_per_round=4, relaxation_steps=2, timestep_fs=4.0,
        explore_fs=20.0, acceptance_ps=0.02,
        students=StudentSettings(members=2, settings=TINY),
    )  # fmt: skip
    atoms = bulk("Cu", a=3.72, cubic=True)
    atoms.symbols[0] = "Au"

    def run(folder: Path) -> None:
        if RunState.load(folder).finished:
            return  # a run that has ended would be given another part
        recipe(atoms, EMT(), settings, output=folder, resume=True, progress=False)

    # A label is on the disk before the next call; every start measures the teacher's time.
    return Verb(run, _outcome, 4)


def _outcome(folder: Path) -> Any:
    """The labels in their order, and the error of the potential that they made."""
    lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    keys = [entry["key"] for entry in map(json.loads, lines) if "key" in entry]
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        raise Twice(f"label {repeated[0]}")
    errors = json.loads((folder / "result.json").read_text(encoding="utf-8"))["errors"]
    return keys, round(errors["use_meV_per_A"], 6)
