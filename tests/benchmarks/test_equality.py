"""The comparison of numbers tells a change from rounding, in float32 and in float64."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def equality(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("equality", root / "benchmarks" / "equality.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # which the script sets for the whole process
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "old", "new", "same"),
    [
        ("est/float32/0/forces", [3.0, 0.0], [3.000004, 2e-6], True),
        ("est/float32/0/forces", [3.0, 0.0], [3.0004, 0.0], False),
        ("est/float32/0/energy", [-4209.0], [-4209.0001], True),
        ("est/float32/0/energy", [-4209.0], [-4209.001], False),
        ("md-nve/md.csv/temperature_K", [300.0, 310.0], [300.0005, 310.001], True),
        ("md-nve/md.csv/temperature_K", [300.0, 310.0], [300.0, 310.1], False),
        ("est/float64/0/forces", [3.0, 0.0], [3.000000001, 1e-8], True),
        ("est/float64/0/forces", [3.0, 0.0], [3.000004, 2e-6], False),
        ("elastic/result.json/cij", [160.0], [160.001], False),
    ],
)
def test_rounding_by_dtype(
    equality: ModuleType, name: str, old: list[float], new: list[float], same: bool
) -> None:
    assert equality.compare({name: old}, {name: new}) is same
