"""The example of crystals runs as a user would run it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path


def test_silicon_elastic(root: Path, run_python: Callable, tmp_path: Path) -> None:
    script = root / "md_examples" / "silicon_elastic.py"
    done = run_python(str(script), "--output", str(tmp_path / "output"), cwd=tmp_path)
    (lattice,) = map(float, re.findall(r"lattice constant (\S+) Å", done.stdout))
    curve, tensor = map(float, re.findall(r"bulk modulus (\S+) GPa", done.stdout))
    assert 5.40 < lattice < 5.50
    # Two ways to one number: the volume and the strain ranges differ.
    assert abs(curve - tensor) < 0.03 * curve
    for name in ("relax/relax.png", "eos/eos.png", "elastic/elastic.png"):
        assert (tmp_path / "output" / name).exists()
