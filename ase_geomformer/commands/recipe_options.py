"""Options that the verbs of recipes share, and how such a verb runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.evaluate import Evaluator


def add_recipe(
    parser: ArgumentParser, settings: type, *, index: str = "-1", resume: bool = True
) -> None:
    """Potential, structure, device, type (float64), speed, folder, and the recipe's settings.

    Parameters
    ----------
    parser : ArgumentParser
    settings : type
        The recipe's dataclass of settings.
    index : str
        Default choice of frames.
    resume : bool
        Whether the recipe can go on with a run.
    """
    common.add_input(parser, index=index)
    parser.set_defaults(dtype="float64")
    common.add_compile(parser)
    common.add_output(parser, required=True)
    if resume:
        parser.add_argument(
            "--resume", action="store_true",
            help="go on with the run in DIR after it was killed; begin it if there is none",
        )  # fmt: skip
    parser.add_argument("--progress", type=bool, default=True, help="show bar and table")
    parser.add_class_arguments(settings, as_group=True)


def evaluator(options: Namespace) -> Evaluator:
    """What evaluates structures as the options say."""
    from ase_geomformer.evaluate import as_evaluator

    return as_evaluator(common.calculator(options))


def run_recipe(options: Namespace, verb: str, recipe: Callable[..., Any], settings: type) -> int:
    """Run a recipe of one structure; the exit code is 1 if it did not converge."""
    chosen = common.settings_of(options, settings)
    common.check_output(options)
    result = recipe(
        common.single_structure(options, verb),
        evaluator(options),
        chosen,
        **common_keywords(options),
    )
    return 0 if result.converged else 1


def common_keywords(options: Namespace) -> dict[str, Any]:
    """The keyword arguments that every recipe takes, from the options."""
    keywords = {
        "output": options.output,
        "overwrite": options.overwrite,
        "progress": options.progress,
        "inputs": common.inputs(options),
    }
    return keywords | ({"resume": options.resume} if "resume" in options else {})
