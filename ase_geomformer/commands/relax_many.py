"""``ase-geomformer relax-many``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common
from ase_geomformer.commands.recipe_options import add_recipe, common_keywords, evaluator
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE|DIR --output DIR [OPTION ...]"
DESCRIPTION = (
    "Relaxation of all structures in a file, a database or a folder of files, many in one "
    "evaluation. Writes finished.jsonl as they are done, from which --resume goes on, and at the "
    "end relaxed.extxyz, relax_many.png, settings.yaml and result.json. The exit code is 1 when "
    "any of them did not converge."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_recipe(parser, RelaxManySettings, index=":")


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, RelaxManySettings)
    from ase_geomformer.recipes import relax_many

    common.check_output(options)
    result = relax_many(
        options.structure,
        evaluator(options),
        settings,
        index=str(options.index),
        **common_keywords(options),
    )
    return 0 if result.converged else 1
