"""The command line: ``ase-geomformer VERB``."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import VERBS, Verb, load
from ase_geomformer.machine.allocator import keep_freed_memory
from ase_geomformer.machine.terminal import keep_streams
from ase_geomformer.machine.text import printable

if TYPE_CHECKING:
    from jsonargparse import Namespace

PROGRAM = "ase-geomformer"
# What is wrong with the user's input, and is told in one line; all else is ours to mend.
USER_ERRORS = (argparse.ArgumentError, ValueError, OSError, ImportError, NotImplementedError)
# What jsonargparse says of a value that may be of several types.
_UNION = (
    r"Does not validate against any of the Union subtypes Subtypes: .*? Errors: - (.*?) "
    r"Given value type: .*? Given value: "
)
# What shells give for a program that Ctrl-C ended: 128 and the number of the signal.
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process when left out.

    Returns
    -------
    int
        0 if all went well, 1 if a run did not reach its goal, 2 if the input is wrong, 130 if the
        user interrupted it (Ctrl-C).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # the process is ours to set up
        # Threads that spin while they wait make MD of a molecule fifty times slower on a busy
        # machine; the setting counts from when torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        keep_freed_memory()
        keep_streams()
        _stop_at_once_on_second_ctrl_c()
    debug = "--debug" in arguments
    try:
        return _run([argument for argument in arguments if argument != "--debug"])
    except SystemExit as done:  # after --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except USER_ERRORS as error:
        if debug:
            traceback.print_exc()
        print(f"{PROGRAM}: error: {_one_line(str(error))}", file=sys.stderr)
        return 2


def _stop_at_once_on_second_ctrl_c() -> None:
    """Have a second Ctrl-C end the process as a kill would, which leaves files that can be resumed.

    The first one raises KeyboardInterrupt, after which runs write their last files; a second one
    raised meanwhile, wherever that is, would show as a traceback.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # such as under nohup
    owner, interrupted = os.getpid(), False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal interrupted
        if interrupted and os.getpid() == owner:
            os.write(2, f"{PROGRAM}: interrupted\n".encode())
            os._exit(INTERRUPTED)
        interrupted = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)


def _run(arguments: list[str]) -> int:
    place = next((i for i, word in enumerate(arguments) if not word.startswith("-")), None)
    top = _top_parser()
    top.parse_args(arguments[:place])
    if place is None:
        top.print_help()
        return 0
    verb = arguments[place]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise ValueError(f"there is no verb {verb!r}{hint} The verbs are {', '.join(VERBS)}")
    return _run_verb(verb, arguments[place + 1 :])


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [--help] [--version] [--debug] VERB ...",
        description="Machine-learned potentials for ASE: from atoms to molecular dynamics.",
        epilog=f"verbs:\n{verbs}\n\n'{PROGRAM} VERB --help' tells more about one of them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


class _Version(argparse.Action):
    """Looks the version up only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from ase_geomformer.machine.version import package_version

        print(f"{PROGRAM} {package_version()}")
        parser.exit()


def _run_verb(verb: str, arguments: list[str]) -> int:
    from ase_geomformer.runs.style import figures_as
    from ase_geomformer.settings.parser import (
        FLAGS_HELP,
        SettingsParser,
        instantiate,
        spell_out_flags,
    )

    module = load(verb)
    parser = SettingsParser(
        prog=f"{PROGRAM} {verb}",
        usage=f"{PROGRAM} {verb} {module.USAGE}",
        description=module.DESCRIPTION,
        epilog=FLAGS_HELP,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", action="config", metavar="FILE.yaml",
        help="File of options, under the same names.",
    )  # fmt: skip
    module.add_arguments(parser)
    arguments = _named_config(spell_out_flags(parser, arguments))
    _check_configs(arguments)
    options = instantiate(parser, parser.parse_args(arguments))
    with figures_as(options.get("figure_format", "png")):
        return _run_with_page(module, options) if options.get("report") else module.run(options)


def _run_with_page(module: Verb, options: Namespace) -> int:
    """Run a verb, and write the page of its run whether or not it reached its goal."""
    from ase_geomformer.commands.options import tell_page
    from ase_geomformer.page import check_installed, write_page

    if options.output is None:
        raise ValueError("--report writes its page into the output folder; give --output")
    check_installed()
    code = module.run(options)
    tell_page(write_page(options.output))
    return code


def _named_config(arguments: list[str]) -> list[str]:
    """Turn a bare CONFIG.yaml into ``--config CONFIG.yaml``, first, so that options win over it."""
    for place, word in enumerate(arguments):
        before = arguments[place - 1] if place else ""
        is_value = before.startswith("-") and "=" not in before
        if word.endswith((".yaml", ".yml")) and not is_value:
            return ["--config", word, *arguments[:place], *arguments[place + 1 :]]
    return arguments


def _check_configs(arguments: list[str]) -> None:
    """Refuse files of options that the parser would not finish reading."""
    from ase_geomformer.machine.bounded import read_yaml
    from ase_geomformer.machine.files import expanded

    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == "--config":
            given = value if equals else "".join(arguments[place + 1 : place + 2])
            path = expanded(given)
            if path.exists():
                _check_code(read_yaml(path), path, arguments)


def _check_code(content: Any, path: Path, arguments: list[str]) -> None:
    """Refuse options that run code of others where only a file names them."""
    from ase_geomformer.external import RUN_CODE

    given = {word.partition("=")[0] for word in arguments}
    for option in RUN_CODE:
        named = content.get(option) if isinstance(content, Mapping) else None
        if named is not None and f"--{option}" not in given:
            raise ValueError(
                f"{path} names the {option} {named!r}, which runs code of other packages or "
                f"machines; if that is what you want, add --{option} {named}"
            )


def _one_line(message: str) -> str:
    """An error of the parser or of ours as one line without Python's names for types."""
    message = re.sub(r"Parser key \"(.*?)\":", r"--\1:", message)
    message = re.sub(r"Expected an? <class '(\w+)'>", r"expected \1", message)
    message = re.sub(r"Expected a typing\.Literal\[(.*?)\]", r"expected one of \1", message)
    return re.sub(_UNION, _either, " ".join(printable(message).split()))


def _either(found: re.Match[str]) -> str:
    """What the parser says of a value that may be of several types."""
    expected = re.split(r"\s*- ", found[1])
    names = [re.sub(r"expected (one of )?", "", text) for text in expected]
    names = ["null" if name == "NoneType" else name for name in names]
    return f"expected {', '.join(names[:-1])} or {names[-1]}. Got value: "
