"""Kill a verb before every one of its file operations, twice in a row, and let it finish.

python tests/kills/kill.py VERB FOLDER [--every N] [--seed S]    prints counts as JSON

The verb runs in a child of this process, which has loaded everything already, and dies by
``os._exit`` before the n-th operation on a file of its folder: nothing is flushed, closed or
cleaned up, as after SIGKILL.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ase.calculators.emt import EMT

from ase_geomformer.external import origin
from tests.kills.verbs import VERBS
from tests.kills.work import Twice, Verb, forget, work

KILLED, FAILED = 9, 3
# Operations by the names of Python's audit events.
OPERATIONS = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir", "os.chmod"}
FAULTS = ("unresumable", "twice", "different", "more lost than an interval", "leftovers")


def child(verb: Verb, folder: Path, limit: int | None, report: Path | None = None) -> int:
    """Run the verb, killed before operation number ``limit``; the exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event not in OPERATIONS or not str(arguments[0]).startswith(str(folder)):
            return
        if event == "open" and "r" in str(arguments[1]) and "+" not in str(arguments[1]):
            return
        if count == limit:
            os._exit(KILLED)
        count += 1

    sys.addaudithook(hook)
    try:
        warnings.simplefilter("ignore")
        verb.run(folder)
        if report is not None:
            report.write_text("\n".join([str(count), *sys.modules]))
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)
    os._exit(0)


def outcome(verb: Verb, folder: Path, report: Path) -> str:
    """What the verb left, as text. A child looks: who has computed may not fork any more."""
    pid = os.fork()
    if not pid:
        try:
            report.write_text(repr(verb.outcome(folder)))
        except Twice as error:
            report.write_text(f"{Twice.__name__}: {error}")
        except BaseException as error:
            report.write_text(f"unreadable: {error!r}")
        os._exit(0)
    os.waitpid(pid, 0)
    return report.read_text()


def fault(verb: Verb, place: Path, expected: str, lost: float) -> str:
    """What is wrong with a run that was killed and came to its end; empty if nothing is."""
    found = outcome(verb, place, place.with_name("found"))
    if found.startswith(f"{Twice.__name__}: "):
        return "twice"
    if found != expected:
        return "different"
    if lost > verb.interval:
        return "more lost than an interval"
    return "leftovers" if any(place.rglob(".*")) else ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    verb, rng = VERBS[options.verb](), random.Random(options.seed)
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = folder / "whole"
    forget()
    if child(verb, whole, None, folder / "count"):
        sys.stderr.write("the verb fails when it is left alone\n")
        return 1
    needed = work()
    count, *modules = (folder / "count").read_text().split("\n")
    operations = int(count)
    for name in modules:  # so that no child has to load them again
        with suppress(Exception):
            importlib.import_module(name)
    origin(EMT())  # so that no child has to read what all packages hold
    expected = outcome(verb, whole, folder / "expected")
    counts = {"verb": options.verb, "operations": operations, "runs": 0, "kills": 0, "lost": 0.0}
    counts |= dict.fromkeys(FAULTS, 0)
    for first in range(rng.randrange(options.every), operations, options.every):
        place = folder / str(first)
        chain = [first, rng.randrange(operations), None]
        kills = ended = 0
        forget()
        for limit in chain:
            code = child(verb, place, limit)
            kills += code == KILLED
            if code == FAILED:
                break
            # A run may end before its second kill, and is then resumed once more. What that takes
            # is no kill's cost.
            if code == 0 and not ended:
                ended = work()
        lost = (ended - needed) / max(kills, 1)
        wrong = "unresumable" if code else fault(verb, place, expected, lost)
        counts["runs"] += 1
        counts["kills"] += kills
        counts["lost"] = max(counts["lost"], lost)
        if wrong:
            sys.stderr.write(f"{options.verb}: killed before {chain[:2]}: {wrong}\n")
            counts[wrong] += 1
        else:
            shutil.rmtree(place)
    sys.stdout.write(json.dumps(counts) + "\n")
    return 1 if any(counts[name] for name in FAULTS) else 0


if __name__ == "__main__":
    sys.exit(main())
