"""``ase-geomformer vibrations``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands.recipe_options import add_recipe, run_recipe
from ase_geomformer.recipes.modes.settings import VibrationsSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Vibrations of a relaxed molecule, adsorbate or crystal in the harmonic approximation, and "
    "its thermochemistry. Writes vibrations.npz, vibrations.png, one file for each mode, "
    "final.extxyz, settings.yaml and result.json. The exit code is 1 when there are imaginary "
    "modes that were not expected."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_recipe(parser, VibrationsSettings, resume=False)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes import vibrations

    return run_recipe(options, "vibrations", vibrations, VibrationsSettings)
