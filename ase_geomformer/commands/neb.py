"""``ase-geomformer neb``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common
from ase_geomformer.commands.recipe_options import add_recipe, common_keywords, evaluator
from ase_geomformer.recipes.path.settings import NEBSettings

if TYPE_CHECKING:
    from ase import Atoms
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --final FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "The path of least energy between two minima by a nudged elastic band, its barrier, and its "
    "saddle point. FILE holds the initial structure, with --final that of the final one; without "
    "--final, FILE holds the whole path. Writes images.traj, saddle.extxyz, neb.npz, neb.png, "
    "settings.yaml and result.json; --resume goes on from the last images. The exit code is 1 "
    "when no converged path to a saddle point with one imaginary mode was found."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_recipe(parser, NEBSettings, index=":")
    parser.add_argument(
        "--final", type=str | None, default=None, metavar="FILE", help="file of the final structure"
    )


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.recipes import neb

    settings = common.settings_of(options, NEBSettings)
    common.check_output(options)
    result = neb(path(options), evaluator(options), settings, **common_keywords(options))
    return 0 if result.converged else 1


def path(options: Namespace) -> list[Atoms]:
    """The ends, or all images, that the options ask for."""
    images = common.structures(options)
    if options.final is None:
        return images
    if len(images) > 1:
        raise ValueError(
            f"{options.structure!r} holds {len(images)} structures; with --final, choose the "
            "initial one by --index, such as --index 0"
        )
    final = options.clone()
    final.structure, final.index = options.final, "-1"
    return [*images, *common.structures(final)]
