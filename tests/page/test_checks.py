"""Checks of every kind of result, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from ase_geomformer.page.checks import check_lines

SELF_TEST = {
    "check": "rotation", "meaning": "Forces rotate", "status": "passed", "note": "",
    "figures": [{"quantity": "forces", "value": 6.3e-6, "unit": "eV/Å", "limit": 1e-3}],
}  # fmt: skip
LEARNING = {"name": "force error", "value": None, "limit": 80.0, "unit": "meV/Å", "passed": False}


def test_checks_of_a_self_test_and_of_learning() -> None:
    assert list(check_lines([SELF_TEST, LEARNING])) == [
        ("rotation", "passed", "forces 6.3e-06 eV/Å", "Forces rotate"),
        ("force error", "failed", "none", "at most 80 meV/Å"),
    ]


@pytest.mark.parametrize("key", SELF_TEST)
@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [None]])
def test_strange_checks_are_text_or_left_out(key: str, value: Any) -> None:
    for check in ({**SELF_TEST, key: value}, {k: v for k, v in SELF_TEST.items() if k != key}):
        if isinstance(check.get("figures"), list | None):
            assert all(isinstance(cell, str) for line in check_lines([check]) for cell in line)
    assert list(check_lines(value)) == []
