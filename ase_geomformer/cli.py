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

    from ase_geomformer.settings.parser import SettingsParser

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
    from ase_geomformer.settings.parser import instantiate

    module = load(verb)
    parser = verb_parser(verb, module)
    words = _named_config(arguments)
    contents = _read_configs(words)
    options = instantiate(parser, _parse(parser, words, contents))
    with figures_as(options.get("figure_format", "png")):
        return _run_with_page(module, options) if options.get("report") else module.run(options)


def verb_parser(verb: str, module: Verb) -> SettingsParser:
    """The parser of a verb's options."""
    from ase_geomformer.settings.parser import FLAGS_HELP, SettingsParser

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
    parser.rename(**getattr(module, "RENAMED", {}))
    return parser


def _parse(parser: SettingsParser, words: list[str], contents: Mapping[Path, Any]) -> Namespace:
    """The options, with former names understood and hints for those that there are not."""
    from ase_geomformer.settings.parser import spell_out_flags
    from ase_geomformer.settings.renamed import current_names
    from ase_geomformer.settings.words import hint, join_lists, rename_options

    names = getattr(parser, "renamed", {})
    former = {
        path: current_names(names, content, _note)
        for path, content in contents.items()
        if isinstance(content, Mapping) and names.keys() & content.keys()
    }
    spelled = _with_contents(rename_options(words, names, _note), former)
    try:
        return parser.parse_args(join_lists(parser, spell_out_flags(parser, spelled)))
    except argparse.ArgumentError as error:
        meant = hint(parser, spelled, {**contents, **former}.values())
        if not meant:
            raise
        raise ValueError(f"{error}; {meant}") from error


def _note(old: str, new: str) -> None:
    print(f"{PROGRAM}: note: {old} is called {new} now", file=sys.stderr)


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
        if word.endswith((".yaml", ".yml")) and not is_value and not word.startswith("-"):
            return ["--config", word, *arguments[:place], *arguments[place + 1 :]]
    return arguments


def _read_configs(arguments: list[str]) -> dict[Path, Any]:
    """What files of options hold; those that the parser would not finish reading are refused."""
    from ase_geomformer.machine.bounded import read_yaml
    from ase_geomformer.machine.files import expanded

    found: dict[Path, Any] = {}
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == "--config":
            given = value if equals else "".join(arguments[place + 1 : place + 2])
            path = expanded(given)
            if path.exists():
                found[path] = read_yaml(path)
                _check_code(found[path], path, arguments)
    return found


def _with_contents(words: list[str], contents: Mapping[Path, Any]) -> list[str]:
    """Words in which the contents of some files of options stand for the files."""
    import yaml

    from ase_geomformer.machine.files import expanded

    found: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        is_whole = name == "--config" and equals
        is_file = is_whole or found[-1:] == ["--config"]
        content = contents.get(expanded(value if is_whole else word)) if is_file else None
        if content is None:
            found.append(word)
        else:
            found += [*(["--config"] if is_whole else []), yaml.safe_dump(content)]
    return found


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
