from __future__ import annotations

from typing import Any

from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes import EOSSettings, eos


def run_eos(atoms: Atoms, calculator: Any, **settings: Any) -> Any:
    return eos(atoms, calculator, EOSSettings(**settings), progress=False)


def test_an_equation_of_state_whose_minimum_is_elsewhere_is_not_converged() -> None:
    atoms = bulk("Cu", a=3.9)
    result = run_eos(atoms, EMT(), relax=False, volume_range=0.02)
    assert not result.converged
    assert "relax the cell first" in result.reason
