"""``ase-geomformer conductivity``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import recipe_options
from ase_geomformer.recipes.lattice.conductivity.settings import ConductivitySettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Lattice thermal conductivity from third-order force constants (extra thermal). Writes "
    "phono3py_params.yaml, fc2.hdf5, fc3.hdf5, conductivity.npz, conductivity.png, settings.yaml "
    "and result.json. With --resume it goes on at the first displacement whose forces are "
    "missing, also with another mesh, method or other temperatures."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    recipe_options.add_recipe(parser, ConductivitySettings)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes.lattice.conductivity.run import thermal_conductivity

    return recipe_options.run_recipe(
        options, "conductivity", thermal_conductivity, ConductivitySettings
    )
