"""Verbs that can resume are killed at their file operations, and end as if they had lived.

A few kills of each verb; ``make fuzz`` does them all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kills.kill import FAULTS
from tests.kills.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
# Operations from one kill to the next; the verbs that take seconds are killed less often.
EVERY = {
    "phonons": 40, "conductivity": 60, "qha": 80, "replicas": 40, "neb": 25, "train": 50,
    "finetune": 60,
}  # fmt: skip


# Learning takes half a minute: ``make fuzz`` kills it, and tests/learning cuts it again and again.
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "learn"])
def test_a_killed_verb_ends_as_if_it_had_lived(verb: str, tmp_path: Path) -> None:
    if verb == "ipi":
        pytest.importorskip("ipi", reason="i-PI is not installed")
    script = [sys.executable, str(ROOT / "tests" / "kills" / "kill.py"), verb, str(tmp_path)]
    done = subprocess.run(
        [*script, "--every", str(EVERY.get(verb, 20))],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills"] >= counts["runs"] > 0
    assert [name for name in FAULTS if counts[name]] == []
