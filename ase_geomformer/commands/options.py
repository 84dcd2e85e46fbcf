"""What options that several verbs share stand for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_geomformer.external import SourceSettings, calculator_by_name
from ase_geomformer.machine.text import printable
from ase_geomformer.runtime.settings import MAY_CHANGE, CalculatorSettings

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from jsonargparse import Namespace

    from ase_geomformer.evaluate import Evaluator
    from ase_geomformer.machine.display import Table
    from ase_geomformer.runs.result import Entry, RunResult

# What says where a run's files go and how it is shown, not what is computed.
_NOT_INPUTS = {
    "config", "output", "overwrite", "resume", "progress", "json", "report", "cluster",
    "figure_format", "db",
}  # fmt: skip


@contextmanager
def on_workers(evaluator: Evaluator, options: Namespace) -> Iterator[Evaluator]:
    """The evaluator, with its work done by the cluster that the options name, if any."""
    if options.get("cluster") is None:
        yield evaluator
        return
    from ase_geomformer.cluster import on_cluster

    with on_cluster(evaluator, options.cluster) as many:
        yield many


def inputs(options: Namespace) -> dict[str, Any]:
    """What ``settings.yaml`` records, so that ``--config settings.yaml`` computes the same."""
    return {name: value for name, value in vars(options).items() if name not in _NOT_INPUTS}


def settings_of(options: Namespace, kind: type) -> Any:
    """The settings, a dataclass of this kind, that the options hold."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})


def check_output(options: Namespace) -> Path | None:
    """The folder that the options ask for, if any, refused before any work if it cannot be used.

    A run is resumed only with the calculator, and the settings, that its results depend on.
    """
    from ase_geomformer.machine.bounded import read_yaml
    from ase_geomformer.runs.folder import SETTINGS_FILE, check_folder
    from ase_geomformer.runs.same import check_same

    source = source_of(options)
    check_database(options)
    if options.output is None:
        return None
    resume = options.get("resume", False)
    folder = check_folder(options.output, overwrite=options.overwrite or resume)
    if resume and (folder / SETTINGS_FILE).exists():
        stored, given = read_yaml(folder / SETTINGS_FILE), settings_of(options, CalculatorSettings)
        if not isinstance(stored, Mapping):
            raise ValueError(f"{folder / SETTINGS_FILE} does not hold the settings of a run")
        # A run from before there was this choice had "published", whatever its default is today.
        before = "published" if _reaches_far(options.potential) else given.long_range
        stored = {"long_range": before, **stored}
        check_same(stored, given, free=MAY_CHANGE, run=f"in {folder}")
        check_same(stored, source, free=("potential",), run=f"in {folder}")
    return folder


def _reaches_far(potential: Any) -> bool:
    """Whether a potential, or one of a committee, has terms that ``long_range`` is about."""
    from ase_geomformer.checkpoint.folder import read_card
    from ase_geomformer.committee import folders, is_committee
    from ase_geomformer.physics import LONG_RANGE_TERMS
    from ase_geomformer.registry import find_potential

    if potential is None:  # a calculator of another kind
        return False
    if isinstance(potential, str | os.PathLike):
        members: Sequence[Any] = folders(potential) if is_committee(potential) else [potential]
    else:
        members = potential
    cards = (read_card(find_potential(member)) for member in members)
    return any(not LONG_RANGE_TERMS.isdisjoint(card.terms) for card in cards)


def give_results(
    options: Namespace,
    folder: Path | None,
    content: Mapping[str, Any],
    table: Callable[[], Table],
) -> None:
    """Write results into the folder, if there is one, and print them as JSON or as a table."""
    from ase_geomformer.machine.display import Console
    from ase_geomformer.runs.folder import start_folder, write_result
    from ase_geomformer.runs.plain import to_json

    if folder is not None:
        start_folder(folder, inputs(options))
        write_result(folder, content)
    if options.json:
        sys.stdout.write(to_json(content))
    else:
        Console().print(table())


def source_of(options: Namespace) -> SourceSettings:
    """What the options have evaluated.

    Raises
    ------
    ValueError
        If they name no potential or calculator, or both, or settle how a potential is evaluated
        where there is none.
    """
    source: SourceSettings = settings_of(options, SourceSettings)
    if source.calculator is not None:
        given = settings_of(options, CalculatorSettings)
        for entry in fields(CalculatorSettings):
            value = getattr(given, entry.name)
            if entry.name != "dtype" and value != entry.default:
                raise ValueError(
                    f"{entry.name} = {value!r} is for potentials, and {source.calculator!r} is a "
                    "calculator of another package; give what it takes in calculator_args"
                )
    return source


def calculator(options: Namespace) -> Calculator:
    """The calculator that the options ask for."""
    from ase_geomformer.calculator import PotentialCalculator

    source = source_of(options)
    if source.calculator is not None:
        return calculator_by_name(source.calculator, source.calculator_args)
    return PotentialCalculator(options.potential, settings_of(options, CalculatorSettings))


def compiled_for(
    calculator: Calculator, options: Namespace, evaluations: int, atoms: Sequence[Atoms]
) -> Calculator:
    """The calculator, its potentials compiled now if a long run gains by it.

    A run that is resumed continues as it was begun.
    """
    from ase_geomformer.machine.files import expanded
    from ase_geomformer.md.output import RESTART_FILE
    from ase_geomformer.runtime.evaluation import compile_if_long

    if options.resume and (expanded(options.output) / RESTART_FILE).exists():
        return calculator
    return compile_if_long(calculator, atoms, evaluations)


def calculator_or_committee(options: Namespace) -> Calculator:
    """The calculator that the options ask for, of one potential or of several."""
    from ase_geomformer.committee import CommitteeCalculator, is_committee

    if options.calculator is None and is_committee(options.potential):
        return CommitteeCalculator(options.potential, settings_of(options, CalculatorSettings))
    return calculator(options)


def tell_page(page: Path) -> None:
    """Say where the page of a run is."""
    from ase_geomformer.machine.display import Console

    Console().print(f"page in {printable(str(page))}", highlight=False, markup=False)


def exit_code(options: Namespace, result: RunResult) -> int:
    """0, or 1 if a run did not reach its goal; stderr then tells why, whatever --progress is."""
    from ase_geomformer.runs.report import complain

    if not options.progress:  # or it has been said
        complain(result.problem)
    return 1 if result.problem else 0


def check_database(options: Namespace) -> None:
    """Refuse a database that cannot be written to, before any work."""
    from ase_geomformer.runs import database

    if options.get("db") is not None:
        database.check_database(options.db)


def to_database(
    options: Namespace, recipe: str, made: Callable[[], Sequence[Entry]], calculator: Any
) -> None:
    """Add the structures of a result to the database that the options name, if any.

    Those without a name have that of the structure they were made from.
    """
    if options.get("db") is None:
        return
    entries = made()
    from dataclasses import replace

    from ase_geomformer.machine.files import expanded
    from ase_geomformer.runs.database import write_database
    from ase_geomformer.runs.provenance import provenance

    if any(not entry.name for entry in entries):
        _, names = named_structures(options)
        entries = [replace(entry, name=entry.name or names[-1]) for entry in entries]
    folder = "" if options.output is None else str(Path(expanded(options.output)).absolute())
    write_database(options.db, entries, recipe=recipe, run=folder, origin=provenance(calculator))


def named_structures(options: Namespace) -> tuple[list[Atoms], list[str]]:
    """The structures that the options ask for, with a name for each."""
    from ase_geomformer.runs.structures import read_structures

    return read_structures(options.structure, str(options.index))


def structures(options: Namespace) -> list[Atoms]:
    """The structures that the options ask for, one at least."""
    from ase_geomformer.runs.structures import read_structures

    found, _ = read_structures(options.structure, str(options.index))
    return found


def single_structure(options: Namespace, verb: str) -> Atoms:
    """The one structure that the options ask for; ValueError if they ask for several."""
    from ase_geomformer.runs.structures import read_structure

    return read_structure(options.structure, str(options.index), verb)
