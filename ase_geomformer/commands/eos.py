"""``ase-geomformer eos``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands.recipe_options import add_recipe, run_recipe
from ase_geomformer.recipes.equation_of_state.settings import EOSSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Energies of a crystal at several volumes, its atoms relaxed, and an equation of state fitted "
    "to them: volume, bulk modulus and its derivative with standard errors. Writes scan.traj, "
    "final.extxyz, eos.png, settings.yaml and result.json."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_recipe(parser, EOSSettings, resume=False)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes import eos

    return run_recipe(options, "eos", eos, EOSSettings)
