"""Positions that are not finite: every recipe names the atom before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer import recipes
from ase_geomformer.commands.singlepoint import frame_results
from ase_geomformer.trust import selftest

CRYSTAL = (
    "eos",
    "elastic",
    "surface",
    "vacancy",
    "cohesive",
    "phonons",
    "qha",
    "thermal_conductivity",
)
RECIPES: dict[str, Callable[..., Any]] = {
    "relax": recipes.relax,
    "relax_many": lambda atoms, *rest, **keywords: recipes.relax_many([atoms], *rest, **keywords),
    "neb": lambda atoms, *rest, **keywords: recipes.neb([atoms, atoms], *rest, **keywords),
    "saddle": recipes.saddle,
    "irc": recipes.irc,
    "vibrations": recipes.vibrations,
    "adsorption": lambda *given, **keywords: recipes.adsorption(*given, adsorbate="O", **keywords),
    **{name: getattr(recipes, name) for name in CRYSTAL},
}


class Unasked(EMT):
    """A calculator that must not be asked."""

    def calculate(self, *_: Any, **__: Any) -> None:
        raise AssertionError("work was done")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_the_atom(name: str, value: float, tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.positions[2, 1] = value
    run = tmp_path / "run"
    with pytest.raises(ValueError, match=r"1 of 4 atoms have a NaN or infinite .*\(index 2\)"):
        RECIPES[name](atoms, Unasked(), output=run, progress=False)
    assert not run.exists()


def test_singlepoint_and_selftest_name_the_atom() -> None:
    sound = bulk("Cu", cubic=True)
    broken = sound.copy()
    broken.positions[3] = np.nan
    with pytest.raises(ValueError, match=r"frame 1: 1 of 4 atoms .*\(index 3\)"):
        frame_results(Unasked(), [sound, broken])
    with pytest.raises(ValueError, match=r"1 of 4 atoms .*\(index 3\)"):
        selftest(Unasked(), broken)
