from __future__ import annotations

import pytest

# Of the many checks, those that most mistakes fail, on settings as shipped.
QUICK = {
    "test_forces_are_the_slope_of_the_energy",
    "test_rotations_and_reflections",
    "test_supercells",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if getattr(item, "originalname", None) in QUICK and "standard" in item.name:
            item.add_marker("quick")
