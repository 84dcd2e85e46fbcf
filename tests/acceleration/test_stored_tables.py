from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator, load_potential
from ase_geomformer.acceleration import stored_tables
from ase_geomformer.machine.cache import Cache
from ase_geomformer.potential import Potential

NAME = "so3krates-rmd17-ethanol"


def never(*_: object) -> None:
    raise AssertionError("tables were made anew")


def test_the_second_calculator_reads_them(
    cache: Cache, ethanol: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = PotentialCalculator(NAME)
    assert [entry.about["potential"] for entry in cache.entries()] == [NAME]
    monkeypatch.setattr(stored_tables, "fitted", never)
    second = PotentialCalculator(NAME)
    assert second.table_errors == first.table_errors
    energies = [calculator.get_potential_energy(ethanol) for calculator in (first, second)]
    assert energies[0] == energies[1]


def test_other_weights_have_tables_of_their_own(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    potential = load_potential(NAME)
    stored_tables.tabulate_once(potential.copy())
    with torch.no_grad():
        next(potential.architecture.parameters()).mul_(1.5)
    monkeypatch.setattr(stored_tables, "fitted", never)
    with pytest.raises(AssertionError, match="anew"):
        stored_tables.tabulate_once(potential.copy())


def test_damaged_ones_are_made_anew(cache: Cache) -> None:
    PotentialCalculator(NAME)
    (entry,) = cache.entries()
    (entry.folder / stored_tables.FILE).write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        PotentialCalculator(NAME)
    assert len(cache.entries()) == 1


def test_no_cache_is_no_error(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ethanol: Atoms
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert PotentialCalculator(NAME).table_errors is not None


def test_potentials_without_a_card_are_not_kept(
    cache: Cache, make_potential: Callable[..., Potential]
) -> None:
    PotentialCalculator(make_potential(), dtype="float32", radial_tables=True)
    assert cache.entries() == []
