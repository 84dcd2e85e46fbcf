"""Options that the verbs of recipes share, and how such a verb runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from ase import Atoms
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.evaluate import Evaluator


def add_recipe(
    parser: ArgumentParser, settings: type, *, index: str = "-1", resume: bool = True
) -> None:
    """Potential, structure, device, type (float64), folder, and the settings of the recipe.

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
    common.add_output(parser, required=True)
    if resume:
        parser.add_argument(
            "--resume", action="store_true",
            help="go on with the run in DIR after it was killed; begin it if there is none",
        )  # fmt: skip
    parser.add_argument("--progress", type=bool, default=True, help="show bar and table")
    parser.add_class_arguments(settings, as_group=True)


def settings_of(options: Namespace, kind: type) -> Any:
    """The settings that the options hold."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})


def evaluator(options: Namespace) -> Evaluator:
    """What evaluates structures with the potential, device and type of the options."""
    from ase_geomformer.evaluate import as_evaluator

    dtype = None if options.dtype == "auto" else options.dtype
    return as_evaluator(options.potential, device=options.device, dtype=dtype)


def single_structure(options: Namespace, verb: str) -> Atoms:
    """The one structure that the options ask for; ValueError if they ask for several."""
    found = common.structures(options)
    if len(found) > 1:
        raise ValueError(
            f"{verb} takes one structure, and --index {options.index} of {options.structure!r} "
            f"gives {len(found)}"
        )
    return found[0]


def run_recipe(options: Namespace, verb: str, recipe: Callable[..., Any], settings: type) -> int:
    """Run a recipe of one structure; the exit code is 1 if it did not converge."""
    from ase_geomformer.provenance import check_folder

    chosen = settings_of(options, settings)
    check_folder(options.output, overwrite=options.overwrite or options.get("resume", False))
    result = recipe(
        single_structure(options, verb),
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
