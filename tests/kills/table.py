"""Kill all verbs, each in a process of its own, and print what came of it.

python tests/kills/table.py FOLDER [--verbs NAME ...] [--every N] [--seed S] [--output FILE.json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kills.kill import FAULTS
from tests.kills.verbs import VERBS

Counts = dict[str, Any]
COLUMNS = ("operations", "runs", "kills", "lost", *FAULTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS))
    parser.add_argument("--every", type=int, default=1, help="operations from kill to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the first and the second kills")
    parser.add_argument("--output", type=Path, help="JSON file, to which the counts are added")
    options = parser.parse_args()
    failed = False
    rows: dict[str, Counts] = {}
    if options.output is not None and options.output.exists():
        rows = json.loads(options.output.read_text())
    for verb in options.verbs:
        script = [sys.executable, str(Path(__file__).with_name("kill.py")), verb]
        script += [str(options.folder / verb), "--every", str(options.every)]
        script += ["--seed", str(options.seed)]
        done = subprocess.run(script, stdout=subprocess.PIPE, text=True)
        failed |= done.returncode != 0
        if not done.stdout:
            continue
        rows[verb] = added(rows.get(verb), json.loads(done.stdout))
        sys.stdout.write(row(verb, rows[verb]) + "\n")
        sys.stdout.flush()
        if options.output is not None:
            options.output.write_text(json.dumps(rows, indent=1) + "\n")
    names = ("verb", "operations", "runs", "kills", "largest loss", *FAULTS)
    sys.stdout.write("\n| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|\n")
    for verb, counts in rows.items():
        sys.stdout.write(row(verb, counts) + "\n")
    total: Counts = {name: sum(counts[name] for counts in rows.values()) for name in COLUMNS}
    sys.stdout.write(row("all", {**total, "lost": ""}) + "\n")
    return int(failed)


def added(before: Counts | None, now: Counts) -> Counts:
    """Counts of two times that a verb was killed."""
    if before is None:
        return now
    more = {name: before[name] + now[name] for name in ("runs", "kills", *FAULTS)}
    return {**now, **more, "lost": max(before["lost"], now["lost"])}


def row(verb: str, counts: Counts) -> str:
    """A line of the table."""
    cells = [f"{counts[name]:g}" if counts[name] != "" else "" for name in COLUMNS]
    return "| " + " | ".join([verb, *cells]) + " |"


if __name__ == "__main__":
    sys.exit(main())
