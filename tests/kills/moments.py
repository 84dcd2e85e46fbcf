"""Kill runs of learn at random moments, let them finish, and compare with one that was left alone.

python tests/kills/moments.py FOLDER [--kills N] [--share X] [--seed S]    prints counts as JSON

The runs are children of this process, which has loaded everything and computes nothing; SIGKILL
comes after a random part of the time that an undisturbed run takes, again and again until the run
ends by itself. A share of the structures fails whenever the teacher is asked for them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ase.build import bulk

# What a child would have to load otherwise.
from ase_geomformer.learning import export, learner  # noqa: F401
from ase_geomformer.learning.run import learn
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import RunState
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.runs.folder import RESULT_FILE
from tests.kills.learning import TINY
from tests.learning.teachers import Faulty

# The longest wait for a kill, in times of an undisturbed run.
LONGEST = 0.6
SETTINGS = LearnSettings(
    max_labels=28, rounds=1, steps_per_round=6, relaxation_steps=2, timestep_fs=4.0,
    explore_fs=40.0, acceptance_ps=0.05, students=StudentSettings(members=2, settings=TINY),
)  # fmt: skip


def start(folder: Path, share: float) -> int:
    """A child that learns, or goes on with it; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        warnings.simplefilter("ignore")
        atoms = bulk("Cu", a=3.73, cubic=True)
        atoms.symbols[0] = "Au"
        teacher = Faulty(log=str(log_of(folder)), share=share)
        # A run that has ended would be given another part.
        if not RunState.load(folder).finished:
            learn(atoms, teacher, SETTINGS, output=folder, resume=True, progress=False)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def log_of(folder: Path) -> Path:
    """File of the teacher's calls."""
    return folder.with_name(f"{folder.name}.calls")


def left(folder: Path) -> dict[str, Any]:
    """What a run left: keys of labels and of failures, calls that were made, and the errors."""
    lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if "key" in record]
    return {
        "labels": Counter(record["key"] for record in records if "failed" not in record),
        "failures": Counter(record["key"] for record in records if "failed" in record),
        "calls": Counter(log_of(folder).read_text(encoding="utf-8").split()),
        "errors": json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["errors"],
    }


def faults(found: dict[str, Any], expected: dict[str, Any], kills: int) -> list[str]:
    """What is wrong with a run that was killed so often."""
    checks = {
        "a label is lost or another one": set(found["labels"]) == set(expected["labels"]),
        "a label is there twice": set(found["labels"].values()) == {1},
        "a failure is lost or tried too often": found["failures"] == expected["failures"],
        "more calls repeated than kills": (found["calls"] - expected["calls"]).total() <= kills,
        "another end": found["errors"] == expected["errors"],
    }
    return [name for name, holds in checks.items() if not holds]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, folder = random.Random(options.seed), options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    if os.waitpid(start(folder / "whole", options.share), 0)[1]:
        sys.stderr.write("learn fails when it is left alone\n")
        return 1
    whole_s = time.monotonic() - began
    expected = left(folder / "whole")
    counts = {
        "share_of_failing_structures": options.share,
        "labels": len(expected["labels"]),
        "failed_calls": expected["failures"].total(),
        "runs": 0,
        "kills": 0,
        "calls_repeated": 0,
        "faults": [],
    }  # fmt: skip
    while counts["kills"] < options.kills:
        place, kills = folder / str(counts["runs"]), 0
        while True:
            pid = start(place, options.share)
            if counts["kills"] + kills < options.kills:
                time.sleep(rng.uniform(0.0, LONGEST * whole_s))
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            if status != signal.SIGKILL:
                break
            kills += 1
        found = left(place) if status == 0 else None
        wrong = ["not resumable"] if found is None else faults(found, expected, kills)
        counts["runs"] += 1
        counts["kills"] += kills
        if found is not None:
            counts["calls_repeated"] += (found["calls"] - expected["calls"]).total()
        counts["faults"] += [f"run {counts['runs'] - 1}: {name}" for name in wrong]
    sys.stdout.write(json.dumps(counts) + "\n")
    return 1 if counts["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
