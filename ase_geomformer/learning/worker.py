"""A process that labels structures: ``python -m ase_geomformer.learning.worker``.

It reads one JSON object per line from its standard input, first the teacher and then structures,
and answers each in the same way. What the teacher itself prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

from ase_geomformer.external import calculator_by_name
from ase_geomformer.learning.answers import Answer, ask, structure_from_plain


def main() -> int:
    """Serve until the input ends."""
    # Calculators of compiled languages print by the descriptor, whatever sys.stdout is.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        first = json.loads(sys.stdin.readline())
        sys.path[:0] = first["path"]
        try:
            calculator = calculator_by_name(first["name"], first["arguments"])
        except (ValueError, ImportError) as error:
            _send(answers, {"error": str(error)})
            return 1
        _send(answers, {"ready": True})
        for line in sys.stdin:
            _send(answers, to_plain(ask(calculator, structure_from_plain(json.loads(line)))))
    return 0


def to_plain(answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    return {
        "energy": answer.energy,
        "forces": None if answer.forces is None else answer.forces.tolist(),
        "stress": None if answer.stress is None else answer.stress.tolist(),
        "seconds": answer.seconds,
        "reason": answer.reason,
    }


def _send(answers: IO[str], content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
