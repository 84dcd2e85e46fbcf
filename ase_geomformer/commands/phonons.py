"""``ase-geomformer phonons``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import recipe_options
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Vibrations of a crystal. Relaxes it, evaluates displaced supercells in batches, and writes "
    "bands, densities of states and thermodynamics: phonopy.yaml, FORCE_SETS, FORCE_CONSTANTS, "
    "band.yaml, total_dos.dat, thermal_properties.yaml, phonons.npz, bands.png, thermal.png, "
    "final.extxyz, settings.yaml and result.json. With --resume it goes on at the first "
    "displacement whose forces are missing, also with other settings of the analysis. The exit "
    "code is 1 if the relaxation did not converge or a mode is imaginary."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    recipe_options.add_recipe(parser, PhononSettings)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes.lattice.phonons.run import phonons

    return recipe_options.run_recipe(options, "phonons", phonons, PhononSettings)
