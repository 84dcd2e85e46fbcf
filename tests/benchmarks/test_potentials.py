"""Benchmarks measure potentials that ship."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ase_geomformer import list_potentials

NAME = re.compile(r'"((?:est|geomformer|so3krates)-(?:mgo|mlearn|rmd17)[a-z0-9-]*)"')


@pytest.mark.quick
def test_every_named_potential_ships(root: Path) -> None:
    files = (root / "benchmarks").glob("*.py")
    named = {name for file in files for name in NAME.findall(file.read_text(encoding="utf-8"))}
    assert {"est-mgo", "so3krates-mlearn-cu"} <= named <= set(list_potentials())
