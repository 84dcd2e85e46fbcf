"""Recipes: relaxation, equations of state, phonons, reaction paths and other calculations.

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
    from ase_geomformer.recipes.adsorbates.result import AdsorptionResult
    from ase_geomformer.recipes.adsorbates.run import adsorption
    from ase_geomformer.recipes.adsorbates.settings import AdsorptionSettings
    from ase_geomformer.recipes.cohesion.result import CohesiveResult
    from ase_geomformer.recipes.cohesion.run import cohesive
    from ase_geomformer.recipes.cohesion.settings import CohesiveSettings
    from ase_geomformer.recipes.defects import (
        cohesive_energy,
        surface_energy,
        vacancy_formation_energy,
    )
    from ase_geomformer.recipes.elasticity.result import ElasticResult
    from ase_geomformer.recipes.elasticity.run import elastic
    from ase_geomformer.recipes.elasticity.settings import ElasticSettings
    from ase_geomformer.recipes.equation_of_state.result import EOSResult
    from ase_geomformer.recipes.equation_of_state.run import eos
    from ase_geomformer.recipes.equation_of_state.settings import EOSSettings
    from ase_geomformer.recipes.lattice.conductivity.result import ConductivityResult
    from ase_geomformer.recipes.lattice.conductivity.run import thermal_conductivity
    from ase_geomformer.recipes.lattice.conductivity.settings import ConductivitySettings
    from ase_geomformer.recipes.lattice.nac import BornCharges
    from ase_geomformer.recipes.lattice.phonons.result import PhononResult
    from ase_geomformer.recipes.lattice.phonons.run import phonons
    from ase_geomformer.recipes.lattice.phonons.settings import EffectiveSettings, PhononSettings
    from ase_geomformer.recipes.lattice.quasiharmonic.result import QHAResult
    from ase_geomformer.recipes.lattice.quasiharmonic.run import qha
    from ase_geomformer.recipes.lattice.quasiharmonic.settings import QHASettings
    from ase_geomformer.recipes.modes.result import VibrationsResult
    from ase_geomformer.recipes.modes.run import vibrations
    from ase_geomformer.recipes.modes.settings import VibrationsSettings
    from ase_geomformer.recipes.path.result import NEBResult
    from ase_geomformer.recipes.path.run import neb
    from ase_geomformer.recipes.path.settings import NEBSettings
    from ase_geomformer.recipes.reaction_coordinate.result import IRCResult
    from ase_geomformer.recipes.reaction_coordinate.run import irc
    from ase_geomformer.recipes.reaction_coordinate.settings import IRCSettings
    from ase_geomformer.recipes.relaxation.many import relax_many
    from ase_geomformer.recipes.relaxation.result import RelaxManyResult, RelaxResult
    from ase_geomformer.recipes.relaxation.run import relax
    from ase_geomformer.recipes.relaxation.settings import RelaxManySettings, RelaxSettings
    from ase_geomformer.recipes.surfaces.result import SurfaceResult
    from ase_geomformer.recipes.surfaces.run import surface
    from ase_geomformer.recipes.surfaces.settings import SurfaceSettings
    from ase_geomformer.recipes.transition_state.refinement import refine_saddle
    from ase_geomformer.recipes.transition_state.result import SaddleResult
    from ase_geomformer.recipes.transition_state.run import saddle
    from ase_geomformer.recipes.transition_state.settings import SaddleSettings
    from ase_geomformer.recipes.vacancies.result import VacancyResult
    from ase_geomformer.recipes.vacancies.run import vacancy
    from ase_geomformer.recipes.vacancies.settings import VacancySettings
    from ase_geomformer.runs.result import RecipeResult

__all__ = [
    "AdsorptionResult",
    "AdsorptionSettings",
    "BornCharges",
    "CohesiveResult",
    "CohesiveSettings",
    "ConductivityResult",
    "ConductivitySettings",
    "EOSResult",
    "EOSSettings",
    "EffectiveSettings",
    "ElasticResult",
    "ElasticSettings",
    "IRCResult",
    "IRCSettings",
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
    "SaddleResult",
    "SaddleSettings",
    "SurfaceResult",
    "SurfaceSettings",
    "VacancyResult",
    "VacancySettings",
    "VibrationsResult",
    "VibrationsSettings",
    "adsorption",
    "cohesive",
    "cohesive_energy",
    "elastic",
    "eos",
    "irc",
    "neb",
    "phonons",
    "qha",
    "refine_saddle",
    "relax",
    "relax_many",
    "saddle",
    "surface",
    "surface_energy",
    "thermal_conductivity",
    "vacancy",
    "vacancy_formation_energy",
    "vibrations",
]

_HOME = {
    "AdsorptionResult": "recipes.adsorbates.result",
    "AdsorptionSettings": "recipes.adsorbates.settings",
    "BornCharges": "recipes.lattice.nac",
    "CohesiveResult": "recipes.cohesion.result",
    "CohesiveSettings": "recipes.cohesion.settings",
    "ConductivityResult": "recipes.lattice.conductivity.result",
    "ConductivitySettings": "recipes.lattice.conductivity.settings",
    "EOSResult": "recipes.equation_of_state.result",
    "EOSSettings": "recipes.equation_of_state.settings",
    "EffectiveSettings": "recipes.lattice.phonons.settings",
    "ElasticResult": "recipes.elasticity.result",
    "ElasticSettings": "recipes.elasticity.settings",
    "IRCResult": "recipes.reaction_coordinate.result",
    "IRCSettings": "recipes.reaction_coordinate.settings",
    "NEBResult": "recipes.path.result",
    "NEBSettings": "recipes.path.settings",
    "PhononResult": "recipes.lattice.phonons.result",
    "PhononSettings": "recipes.lattice.phonons.settings",
    "QHAResult": "recipes.lattice.quasiharmonic.result",
    "QHASettings": "recipes.lattice.quasiharmonic.settings",
    "RecipeResult": "runs.result",
    "RelaxManyResult": "recipes.relaxation.result",
    "RelaxManySettings": "recipes.relaxation.settings",
    "RelaxResult": "recipes.relaxation.result",
    "RelaxSettings": "recipes.relaxation.settings",
    "SaddleResult": "recipes.transition_state.result",
    "SaddleSettings": "recipes.transition_state.settings",
    "SurfaceResult": "recipes.surfaces.result",
    "SurfaceSettings": "recipes.surfaces.settings",
    "VacancyResult": "recipes.vacancies.result",
    "VacancySettings": "recipes.vacancies.settings",
    "VibrationsResult": "recipes.modes.result",
    "VibrationsSettings": "recipes.modes.settings",
    "adsorption": "recipes.adsorbates.run",
    "cohesive": "recipes.cohesion.run",
    "cohesive_energy": "recipes.defects",
    "elastic": "recipes.elasticity.run",
    "eos": "recipes.equation_of_state.run",
    "irc": "recipes.reaction_coordinate.run",
    "neb": "recipes.path.run",
    "phonons": "recipes.lattice.phonons.run",
    "qha": "recipes.lattice.quasiharmonic.run",
    "refine_saddle": "recipes.transition_state.refinement",
    "relax": "recipes.relaxation.run",
    "relax_many": "recipes.relaxation.many",
    "saddle": "recipes.transition_state.run",
    "surface": "recipes.surfaces.run",
    "surface_energy": "recipes.defects",
    "thermal_conductivity": "recipes.lattice.conductivity.run",
    "vacancy": "recipes.vacancies.run",
    "vacancy_formation_energy": "recipes.defects",
    "vibrations": "recipes.modes.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ase_geomformer.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
