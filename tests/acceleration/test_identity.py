"""Keys of what is cached."""

from __future__ import annotations

from ase_geomformer.acceleration.identity import PACKAGE, SOURCES, source_files

# Constants that weights or sources of their own stand for.
DATA = {".npz", ".csv"}


def test_all_code_that_numbers_depend_on_is_in_the_key() -> None:
    """Of whatever language: code made from other sources must not be found again."""
    there = {
        file
        for name in SOURCES
        for file in (PACKAGE / name, *(PACKAGE / name).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts and file.suffix not in DATA
    }
    assert {file.suffix for file in there} == {".py", ".h"}
    assert set(source_files()) == there
