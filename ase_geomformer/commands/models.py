"""``ase-geomformer models``."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.checkpoint.card import Card
    from ase_geomformer.machine.display import Table, Text

USAGE = (
    "[list | show NAME | verify [NAME ...] | get NAME [--from FILE] | compile NAME ...] [--json]"
)
DESCRIPTION = (
    "Available potentials. 'list' (the default) shows all of them in a table: mean absolute error "
    "of the forces on test data, and time of energy and forces on one CPU thread. 'show NAME' "
    "shows the card of one, and 'verify [NAME ...]' recomputes the reference results stored on the "
    "cards; its exit code is 1 if one differs. 'get NAME' downloads a potential that is published "
    "elsewhere, checks it, and adds it to your own folder of potentials, where it is found by its "
    "name. 'compile NAME ...' compiles potentials for this machine, for one to three minutes each "
    "(twice that with electrostatics: for molecules, and for crystals); every later evaluation "
    "uses the code. On a cluster do that once, on a node with the CPU of those that will compute."
)
# Largest difference in eV/atom, eV/Å and eV/Å^3 between machines, in float64.
VERIFY_TOLERANCE = 1e-8
# What the list tells of a card's figures.
ERROR = "test_forces_mae_meV_per_A"
CHECKS_FILE = "checks.json"
# Boundaries of structures to compile for.
MOLECULE, CRYSTAL = (False, False, False), (True, True, True)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=[*ACTIONS, "get", "compile"],
        help="What to do.",
    )
    parser.add_argument(
        "names", nargs="*", default=[], metavar="NAME", help="Names or paths of potentials."
    )
    parser.add_argument(
        "--from", type=str | None, default=None, metavar="FILE",
        help="get: checkpoint or wheel on this machine, instead of downloading it.",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", choices=["auto", "float32", "float64"], default="auto",
        help="compile: dtype to evaluate in; auto: that of the weights.",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", type=bool, default=False,
        help="get: replace the potential if it exists already.",
    )  # fmt: skip
    parser.add_argument("--json", type=bool, default=False, help="Print as JSON.")


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    if options.action != "get" and (options["from"] is not None or options.overwrite):
        raise ValueError(f"--from and --overwrite are for models get, not for {options.action}")
    if options.action != "compile" and options.dtype != "auto":
        raise ValueError(f"--dtype is for models compile, not for {options.action}")
    if options.action == "get":
        return _get(options)
    if options.action == "compile":
        return _compile(options)
    code: int = ACTIONS[options.action](list(options.names), options.json)
    return code


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _get(options: Namespace) -> int:
    from ase_geomformer.checkpoint.obtainable import OBTAINABLE
    from ase_geomformer.convert.get import get_potential
    from ase_geomformer.machine.places import user_folder

    if len(options.names) != 1 or options.names[0] not in OBTAINABLE:
        given = f"not {' '.join(options.names)}" if options.names else "and none is given"
        raise ValueError(f"models get takes one of the names {', '.join(OBTAINABLE)}, {given}")
    row = OBTAINABLE[options.names[0]]
    got = get_potential(
        row,
        user_folder(),
        options["from"],
        overwrite=options.overwrite,
        tell=_tell,
    )
    if options.json:
        _print_json({"name": row.name, "path": got.folder, "made_from": got.origin})
    elif got.origin is None:
        sys.stdout.write(f"{row.name} is there already, undamaged: {got.folder}\n")
    else:
        sys.stdout.write(
            f"{row.name} is in {got.folder}, made from {got.origin}. Use it by its name: "
            f"--potential {row.name} or PotentialCalculator({row.name!r})\n"
        )
    return 0


def _compile(options: Namespace) -> int:
    """Compile potentials for this machine; 1 if one of them cannot be."""
    from ase_geomformer.registry import find_potential
    from ase_geomformer.runtime.prepared import PreparedPotential
    from ase_geomformer.runtime.settings import CalculatorSettings

    if not options.names:
        raise ValueError("models compile takes the NAMEs of potentials, and none is given")
    for name in options.names:  # A wrong name is an error before minutes of work.
        find_potential(name)
    settings = CalculatorSettings(device="cpu", dtype=options.dtype, compile=True)
    found = {}
    for name in options.names:
        prepared = PreparedPotential(name, settings)
        # Charges are summed in one way in molecules and in another in crystals, in code of its own.
        ways = [prepared.fitting(boundaries).ready() for boundaries in (MOLECULE, CRYSTAL)]
        found[name] = ", ".join(dict.fromkeys(ways))
    done = {name: "plain" not in how for name, how in found.items()}
    if options.json:
        _print_json({name: {"evaluation": found[name], "compiled": done[name]} for name in found})
    else:
        for name, how in found.items():
            sys.stdout.write(f"{name}: {how if done[name] else 'not compiled, see above'}\n")
    return 0 if all(done.values()) else 1


def _list(names: list[str], as_json: bool) -> int:
    from ase_geomformer.checkpoint.obtainable import OBTAINABLE
    from ase_geomformer.registry import list_potentials

    if names:
        raise ValueError(f"models list takes no names; did you mean models show {names[0]}?")
    entries = {name: _overview(folder) for name, folder in list_potentials().items()}
    if as_json:
        _print_json(entries)
        return 0
    from ase_geomformer.machine.display import SIMPLE_HEAD, Table

    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, expand=True
    )
    table.add_column("potential", no_wrap=True, style="bold")
    table.add_column("elements", overflow="fold")
    for heading in ("error\nmeV/Å", "time\nms/atom"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("for", no_wrap=True, overflow="ellipsis", ratio=1)
    for name, entry in entries.items():
        if "error" in entry:
            damaged = _cell(f"damaged: {entry['error']}", "red")
            table.add_row(_cell(name), "", "", "", damaged)
            continue
        numbers = (entry["figures"].get(ERROR), entry["ms_per_atom"])
        shown = ["" if value is None else f"{value:.3g}" for value in numbers]
        elements = entry["elements"]
        known = " ".join(elements) if len(elements) <= 4 else str(len(elements))
        table.add_row(_cell(name), _cell(known), *shown, _cell(entry["purpose"]))
    _print(table)
    for name in OBTAINABLE.keys() - entries.keys():
        row = OBTAINABLE[name]
        sys.stdout.write(f"To get {row.summary}: ase-geomformer models get {name}\n")
    return 0


def _overview(folder: Path) -> dict[str, Any]:
    """What the list says of a potential; one that is damaged must not hide the others."""
    from ase_geomformer.checkpoint.card import CheckpointError, read_card

    try:
        card = read_card(folder)
    except CheckpointError as error:
        return {"path": folder, "error": str(error)}
    return {
        "path": folder,
        "purpose": _purpose(card),
        "architecture": card.architecture,
        "elements": card.elements,
        "cutoff_A": card.cutoff_A,
        "conservative": card.conservative,
        "data": [f"{source.name} ({source.level_of_theory})" for source in card.data],
        "figures": card.figures,
        "ms_per_atom": _ms_per_atom(folder),
        "num_parameters": card.num_parameters,
        "licence": card.licence,
        "sha256": card.sha256,
    }


def _purpose(card: Card) -> str:
    """What a potential is for, in a few words: its description up to the first stop."""
    words = re.split(r"\. | - ", card.description)[0].rstrip(".")
    words = words or ", ".join(source.name for source in card.data)
    return words if card.conservative else f"{words}; not conservative"


def _ms_per_atom(folder: Path) -> float | None:
    """Time of energy and forces per atom where it was measured, by compiled code if there is."""
    from ase_geomformer.machine.bounded import read_json

    try:
        measured = read_json(folder / CHECKS_FILE)["speed_cpu"]
        times = measured["values"]
        atoms = re.search(r"of (\d+) atoms", measured["conditions"])
        return None if atoms is None else min(map(float, times.values())) / int(atoms[1])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError):
        return None  # potentials of others have no such checks


def _show(names: list[str], as_json: bool) -> int:
    from dataclasses import asdict

    from ase_geomformer.checkpoint.card import read_card
    from ase_geomformer.registry import find_potential

    if len(names) != 1:
        raise ValueError(f"models show takes one NAME, and {len(names)} are given")
    folder = find_potential(names[0])
    content = asdict(read_card(folder))
    golden = content.pop("golden")
    content = {"path": folder, **content, "number_of_golden_vectors": len(golden)}
    if as_json:
        _print_json(content)
        return 0
    from ase_geomformer.machine.display import Table

    table = Table(show_header=False, title=_cell(content["name"]))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in content.items():
        table.add_row(key, _cell(_readable(value)))
    _print(table)
    return 0


def _readable(value: Any) -> str:
    """A field of a card as text, one line for each entry of a list or mapping."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_readable(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        entries = [_readable(entry) for entry in value]
        return (" " if all(len(entry) <= 2 for entry in entries) else "\n").join(entries)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _verify(names: list[str], as_json: bool) -> int:
    from ase_geomformer.checkpoint.folder import CheckpointError, verify
    from ase_geomformer.registry import list_potentials, load_potential
    from ase_geomformer.runs.report import complain

    entries: dict[str, dict[str, Any]] = {}
    for name in names or list_potentials():
        try:
            differences = verify(load_potential(name))
            passed = max(differences.values()) < VERIFY_TOLERANCE
            entries[name] = {"passed": passed, **differences}
        except CheckpointError as error:
            entries[name] = {"passed": False, "error": str(error)}
    if as_json:
        _print_json(entries)
    else:
        from ase_geomformer.machine.display import Table

        table = Table("name", "", "largest difference from the card", title="golden vectors")
        for name, entry in entries.items():
            mark = _cell("pass", "green") if entry["passed"] else _cell("fail", "red")
            found = _readable({k: v for k, v in entry.items() if k != "passed"})
            table.add_row(_cell(name), mark, _cell(found))
        _print(table)
    failed = [name for name, entry in entries.items() if not entry["passed"]]
    if failed:
        complain(f"{len(failed)} of {len(entries)} potentials failed: {', '.join(failed)}")
    return 1 if failed else 0


def _cell(text: str, style: str = "") -> Text:
    """Text of a card, none of which is markup or a command to the terminal."""
    from ase_geomformer.machine.display import Text
    from ase_geomformer.machine.text import printable

    return Text(printable(text), style)


def _print(table: Table) -> None:
    from ase_geomformer.machine.display import Console

    Console().print(table)


def _print_json(content: Any) -> None:
    from ase_geomformer.runs.plain import to_json

    sys.stdout.write(to_json(content))


ACTIONS = {"list": _list, "show": _show, "verify": _verify}
