"""The names of labels are told as they are looked for."""

from __future__ import annotations

import inspect

import pytest

from ase_geomformer.data.labels import AUTO_KEYS
from ase_geomformer.data.sources import DataSettings


def told(names: tuple[str, ...]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


@pytest.mark.parametrize("target", ["energy", "forces", "stress"])
def test_help_lists_the_names_that_auto_looks_for(target: str) -> None:
    text = inspect.cleandoc(DataSettings.__doc__ or "")
    section = text.split(f"\n{target}_key\n")[1].split("_key\n")[0]
    assert told(AUTO_KEYS[target]) in " ".join(section.split())
