"""Kill all verbs, each in a process of its own, and print what came of it.

python tests/kills/table.py FOLDER [--verbs NAME ...] [--every N] [--output FILE.json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kills.kill import FAULTS
from tests.kills.verbs import VERBS

COLUMNS = ("operations", "runs", "kills", "lost", *FAULTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS))
    parser.add_argument("--every", type=int, default=1, help="operations from kill to kill")
    parser.add_argument("--output", type=Path, help="JSON file, to which the verbs are added")
    options = parser.parse_args()
    failed = False
    rows = {}
    for verb in options.verbs:
        script = [sys.executable, str(Path(__file__).with_name("kill.py")), verb]
        script += [str(options.folder / verb), "--every", str(options.every)]
        done = subprocess.run(script, stdout=subprocess.PIPE, text=True)
        failed |= done.returncode != 0
        if done.stdout:
            rows[verb] = {**json.loads(done.stdout), "every": options.every}
            sys.stdout.write(row(verb, rows[verb]) + "\n")
            sys.stdout.flush()
    if options.output is not None:
        known = json.loads(options.output.read_text()) if options.output.exists() else {}
        options.output.write_text(json.dumps({**known, **rows}, indent=1) + "\n")
    names = ("verb", "operations", "runs", "kills", "largest loss", *FAULTS)
    sys.stdout.write("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|\n")
    for verb, counts in rows.items():
        sys.stdout.write(row(verb, counts) + "\n")
    total = {name: sum(counts[name] for counts in rows.values()) for name in COLUMNS}
    sys.stdout.write(row("all", {**total, "lost": ""}) + "\n")
    return int(failed)


def row(verb: str, counts: dict[str, object]) -> str:
    """A line of the table."""
    cells = [f"{counts[name]:g}" if counts[name] != "" else "" for name in COLUMNS]
    return "| " + " | ".join([verb, *cells]) + " |"


if __name__ == "__main__":
    sys.exit(main())
