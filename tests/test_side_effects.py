"""Importing the package and its public names leaves the user's process as it was."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

PUBLIC_NAMES = """
import ase_geomformer
for name in ase_geomformer.__all__:
    getattr(ase_geomformer, name)
"""

# Prints what `action` changed. ASE and torch come first: what they do on import is theirs.
PROBE = """
import json, logging, os, random, sys, warnings
import ase.calculators.calculator, numpy, torch

def state():
    return {{
        "torch dtype": torch.get_default_dtype(),
        "torch device": torch.get_default_device(),
        "torch random state": torch.get_rng_state().tolist(),
        "torch threads": torch.get_num_threads(),
        "torch gradients": torch.is_grad_enabled(),
        "torch determinism": torch.are_deterministic_algorithms_enabled(),
        "torch matmul precision": torch.get_float32_matmul_precision(),
        "numpy random state": [numpy.asarray(part).tolist() for part in numpy.random.get_state()],
        "numpy errors": numpy.geterr(),
        "numpy print options": numpy.get_printoptions(),
        "random state": random.getstate(),
        "environment": dict(os.environ),
        "root log handlers": list(logging.root.handlers),
        "root log level": logging.root.level,
        "warning filters": list(warnings.filters),
        "exception hook": sys.excepthook,
        "working directory": os.getcwd(),
    }}

before = {{name: repr(value) for name, value in state().items()}}
{action}
after = {{name: repr(value) for name, value in state().items()}}
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


@pytest.fixture
def changes_made_by(tmp_path: Path, run_python: Callable) -> Callable:
    """Global state that an action changes, and the files that it leaves behind."""
    places = {name: tmp_path / name for name in ("home", "cwd", "tmp")}
    for place in places.values():
        place.mkdir()
    places["home"].chmod(0o555)
    environment = {**os.environ, "HOME": str(places["home"]), "TMPDIR": str(places["tmp"])}

    def changes(action: str) -> tuple[list[str], list[str]]:
        code = PROBE.format(action=action)
        done = run_python("-B", "-c", code, cwd=places["cwd"], env=environment)
        assert done.stderr == ""
        files = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()]
        return json.loads(done.stdout), files

    return changes


@pytest.mark.parametrize(
    "action",
    [pytest.param("import ase_geomformer", id="import"), pytest.param(PUBLIC_NAMES, id="names")],
)
def test_import_changes_no_global_state(action: str, changes_made_by: Callable) -> None:
    assert changes_made_by(action) == ([], [])


def test_the_probe_sees_changes(changes_made_by: Callable) -> None:
    changed, files = changes_made_by(
        "torch.manual_seed(1); warnings.simplefilter('error'); open('left.txt', 'w').close()"
    )
    assert changed == ["torch random state", "warning filters"]
    assert files == ["cwd/left.txt"]


def test_plain_import_loads_no_heavy_package(run_python: Callable) -> None:
    loaded = run_python("-c", "import sys, ase_geomformer; print(*sys.modules)").stdout.split()
    assert {"torch", "numpy", "ase", "e3nn"}.isdisjoint(loaded)


def test_public_names_take_less_than_half_a_second_beyond_torch(run_python: Callable) -> None:
    # Processor time: the wall clock also counts what others do on a shared machine.
    code = (
        "import time, torch\n"
        "start = time.process_time()\n"
        f"{PUBLIC_NAMES}\n"
        "print(time.process_time() - start)"
    )
    seconds = statistics.median(float(run_python("-c", code).stdout) for _ in range(3))
    assert seconds < 0.5
