"""Recipes: what is done with a potential besides molecular dynamics.

Every recipe is a function of a structure, a potential and a settings class; it gives a result with
``converged`` and ``reason`` and, with an output folder, leaves its files there. The potential is
one by its name, path or itself, or any ASE calculator.

The public names are loaded on first use. A module must not be called like a function that is
public here: once imported, it would take the function's place.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase_geomformer.recipes.base import RecipeResult
    from ase_geomformer.recipes.crystal_settings import ElasticSettings, EOSSettings
    from ase_geomformer.recipes.defects import (
        cohesive_energy,
        surface_energy,
        vacancy_formation_energy,
    )
    from ase_geomformer.recipes.elasticity import ElasticResult, elastic
    from ase_geomformer.recipes.equation_of_state import EOSResult, eos
    from ase_geomformer.recipes.lattice.conductivity import ConductivityResult, thermal_conductivity
    from ase_geomformer.recipes.lattice.conductivity_settings import ConductivitySettings
    from ase_geomformer.recipes.lattice.nac import BornCharges
    from ase_geomformer.recipes.lattice.qha import qha
    from ase_geomformer.recipes.lattice.qha_result import QHAResult
    from ase_geomformer.recipes.lattice.qha_settings import QHASettings
    from ase_geomformer.recipes.lattice.result import PhononResult
    from ase_geomformer.recipes.lattice.run import phonons
    from ase_geomformer.recipes.lattice.settings import EffectiveSettings, PhononSettings
    from ase_geomformer.recipes.many import RelaxManyResult, relax_many
    from ase_geomformer.recipes.modes.result import VibrationsResult
    from ase_geomformer.recipes.modes.run import vibrations
    from ase_geomformer.recipes.modes.settings import VibrationsSettings
    from ase_geomformer.recipes.path.result import NEBResult
    from ase_geomformer.recipes.path.run import neb
    from ase_geomformer.recipes.path.saddle import refine_saddle
    from ase_geomformer.recipes.path.settings import NEBSettings
    from ase_geomformer.recipes.relax_settings import RelaxManySettings, RelaxSettings
    from ase_geomformer.recipes.relaxation import relax
    from ase_geomformer.recipes.relaxing import RelaxResult

__all__ = [
    "BornCharges",
    "ConductivityResult",
    "ConductivitySettings",
    "EOSResult",
    "EOSSettings",
    "EffectiveSettings",
    "ElasticResult",
    "ElasticSettings",
    "NEBResult",
    "NEBSettings",
    "PhononResult",
    "PhononSettings",
    "QHAResult",
    "QHASettings",
    "RecipeResult",
    "RelaxManyResult",
    "RelaxManySettings",
    "RelaxResult",
    "RelaxSettings",
    "VibrationsResult",
    "VibrationsSettings",
    "cohesive_energy",
    "elastic",
    "eos",
    "neb",
    "phonons",
    "qha",
    "refine_saddle",
    "relax",
    "relax_many",
    "surface_energy",
    "thermal_conductivity",
    "vacancy_formation_energy",
    "vibrations",
]

_HOME = {
    "BornCharges": "lattice.nac",
    "ConductivityResult": "lattice.conductivity",
    "ConductivitySettings": "lattice.conductivity_settings",
    "EOSResult": "equation_of_state",
    "EOSSettings": "crystal_settings",
    "EffectiveSettings": "lattice.settings",
    "ElasticResult": "elasticity",
    "ElasticSettings": "crystal_settings",
    "NEBResult": "path.result",
    "NEBSettings": "path.settings",
    "PhononResult": "lattice.result",
    "PhononSettings": "lattice.settings",
    "QHAResult": "lattice.qha_result",
    "QHASettings": "lattice.qha_settings",
    "RecipeResult": "base",
    "RelaxManyResult": "many",
    "RelaxManySettings": "relax_settings",
    "RelaxResult": "relaxing",
    "RelaxSettings": "relax_settings",
    "VibrationsResult": "modes.result",
    "VibrationsSettings": "modes.settings",
    "cohesive_energy": "defects",
    "elastic": "elasticity",
    "eos": "equation_of_state",
    "neb": "path.run",
    "phonons": "lattice.run",
    "qha": "lattice.qha",
    "refine_saddle": "path.saddle",
    "relax": "relaxation",
    "relax_many": "many",
    "surface_energy": "defects",
    "thermal_conductivity": "lattice.conductivity",
    "vacancy_formation_energy": "defects",
    "vibrations": "modes.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
