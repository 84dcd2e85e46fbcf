"""``ase-geomformer completion``."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "bash|zsh|tcsh > FILE"
DESCRIPTION = (
    "Print a script that completes verbs, options, choices and names of potentials in your shell "
    "(extra completion). bash: write it to ~/.local/share/bash-completion/completions/"
    "ase-geomformer; zsh: to _ase-geomformer in a folder of $fpath. Print it again after an "
    "upgrade, or when there are other potentials."
)
SHELLS = ("bash", "zsh", "tcsh")
_FILES = ("FILE", "FILE.yaml", "FILE|DIR")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=SHELLS, help="For which shell.")


def run(options: Namespace) -> int:
    """Print the script; the exit code is 0."""
    try:
        shtab: Any = importlib.import_module("shtab")
    except ImportError as error:
        raise ImportError(
            "completion needs shtab: pip install 'ase-geomformer[completion]'"
        ) from error
    sys.stdout.write(shtab.complete(command_parser(shtab), shell=options.shell))
    return 0


def command_parser(shtab: Any) -> argparse.ArgumentParser:
    """All verbs and their options in one parser, as shtab reads it."""
    from ase_geomformer.commands import VERBS, load
    from ase_geomformer.registry import list_potentials
    from ase_geomformer.settings.parser import SettingsParser

    potentials = list(list_potentials())
    top = argparse.ArgumentParser(prog="ase-geomformer")
    verbs = top.add_subparsers()
    for verb, summary in VERBS.items():
        verb_parser = verbs.add_parser(verb, help=summary)
        declared = SettingsParser(exit_on_error=False)
        load(verb).add_arguments(declared)
        verb_parser.add_argument("--config", help="File of options.").complete = shtab.FILE  # type: ignore[attr-defined]
        for action in declared._actions:
            _copy(action, verb_parser, potentials, shtab)
    return top


def _copy(action: Any, parser: argparse.ArgumentParser, potentials: list[str], shtab: Any) -> None:
    """Add an option of a verb, with what it is completed by."""
    names = [name for name in action.option_strings if name not in ("-h", "--help")]
    if (action.option_strings and not names) or action.dest == argparse.SUPPRESS:
        return
    choices = _choices(action) or (potentials if action.dest in ("potential", "names") else None)
    text = (action.help or "").partition(". ")[0].replace("%", "%%")
    place: dict[str, Any] = {} if names else {"nargs": action.nargs}
    added = parser.add_argument(*(names or [action.dest]), choices=choices, help=text, **place)
    if choices is None and action.metavar == "DIR":
        added.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif choices is None and (action.metavar in _FILES or action.dest == "structure"):
        added.complete = shtab.FILE  # type: ignore[attr-defined]


def _choices(action: Any) -> list[str] | None:
    """The words that an option may be followed by, if they can be listed."""
    from ase_geomformer.settings.parser import choices_of

    return list(action.choices or ()) or choices_of(action) or None
