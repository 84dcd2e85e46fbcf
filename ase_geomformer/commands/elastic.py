"""``ase-geomformer elastic``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands.recipe_options import add_recipe, run_recipe
from ase_geomformer.recipes.elasticity.settings import ElasticSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Elastic constants of a crystal from the stress of strained cells, their atoms relaxed; moduli "
    "of the polycrystal, mechanical stability and anisotropy. Writes strains.npz, final.extxyz, "
    "elastic.png, settings.yaml and result.json."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_recipe(parser, ElasticSettings, resume=False)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes import elastic

    return run_recipe(options, "elastic", elastic, ElasticSettings)
