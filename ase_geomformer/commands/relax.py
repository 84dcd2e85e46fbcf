"""``ase-geomformer relax``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands.recipe_options import add_recipe, run_recipe
from ase_geomformer.recipes.relaxation.settings import RelaxSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Relaxation of a structure, and of its cell with --cell, to the nearest minimum; constraints "
    "in FILE are honoured. Writes trajectory.traj, final.extxyz, relax.png, settings.yaml and "
    "result.json. The exit code is 1 when forces or stress have not become small."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_recipe(parser, RelaxSettings)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes import relax

    return run_recipe(options, "relax", relax, RelaxSettings)
