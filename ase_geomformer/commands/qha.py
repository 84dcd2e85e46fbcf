"""``ase-geomformer qha``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import recipe_options
from ase_geomformer.recipes.lattice.quasiharmonic.settings import QHASettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Quasi-harmonic approximation: thermal expansion, heat capacity at constant pressure, bulk "
    "modulus against temperature, and Grüneisen parameters, from phonons at several volumes. "
    "Writes e-v.dat, phonopy-N.yaml, qha.npz, qha.png, gruneisen.png, settings.yaml and "
    "result.json. With --resume it goes on at the first displacement whose forces are missing."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    recipe_options.add_recipe(parser, QHASettings)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes.lattice.quasiharmonic.run import qha

    return recipe_options.run_recipe(options, "qha", qha, QHASettings)
