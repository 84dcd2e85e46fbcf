"""``ase-geomformer evaluate``."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common
from ase_geomformer.data.sources import DataSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.accuracy.evaluation import Evaluation

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Errors of a potential on labelled structures: energies, forces and stresses, as far as FILE "
    "has them; of several potentials, of their mean and each of them, and how well their spread "
    "tells the error. Writes result.json, predictions.npz, parity.png, errors_by_element.png and "
    "settings.yaml."
)
# The path is --structure, and potentials give neither charges nor dipoles to compare.
NOT_OPTIONS = {"path", "charges_key", "dipole_key"}
# Former names of options.
RENAMED = {"data": "structure"}
FILES = ("predictions.npz", "parity.png", "errors_by_element.png")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Input")
    arguments.add_source(group, committee=True)
    group.add_argument(
        "--structure", required=True, type=str | list[str], metavar="FILE",
        help="Labelled structures: extended XYZ, ASE db, npz, or any other format that ASE reads; "
        "several as FILE FILE ...",
    )  # fmt: skip
    arguments.add_calculator(parser)
    arguments.add_output(parser, required=True)
    arguments.add_database(parser)
    arguments.add_cluster(parser)
    parser.add_class_arguments(DataSettings, as_group=True, skip=NOT_OPTIONS)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.accuracy.evaluation import evaluate_frames
    from ase_geomformer.accuracy.figures import errors_by_element, parity
    from ase_geomformer.accuracy.rows import evaluation_entries
    from ase_geomformer.accuracy.spread import mean_evaluation
    from ase_geomformer.data.frames import label_table
    from ase_geomformer.data.readers import read_frames
    from ase_geomformer.evaluate import as_evaluator
    from ase_geomformer.machine.display import Console
    from ase_geomformer.machine.text import printable
    from ase_geomformer.runs.folder import check_folder, start_folder, write_result
    from ase_geomformer.runs.provenance import provenance
    from ase_geomformer.runs.style import save_figure

    keys = [field.name for field in fields(DataSettings) if field.name not in NOT_OPTIONS]
    data = DataSettings(options.structure, **{key: options[key] for key in keys})
    folder = check_folder(options.output, overwrite=options.overwrite)
    common.check_database(options)
    calculator = common.calculator_or_committee(options)
    members: list[Any] = getattr(calculator, "members", [])
    frames = read_frames(data)
    console = Console(quiet=not options.progress)
    console.print(label_table({"data": frames}))
    if members and options.cluster is not None:
        raise ValueError("several potentials are evaluated in this process: leave out --cluster")
    committee: dict[str, Any] = {}
    if members:
        each = [evaluate_frames(one, frames, progress=options.progress) for one in members]
        evaluation = mean_evaluation(each)
        committee = committee_errors(calculator, each)
    else:
        with common.on_workers(as_evaluator(calculator), options) as many:
            # Here or on the workers.
            source: Any = calculator if options.cluster is None else many
            evaluation = evaluate_frames(source, frames, progress=options.progress)
    start_folder(folder, common.inputs(options), FILES)
    evaluation.save(folder / "predictions.npz")
    save_figure(parity(evaluation), folder / "parity.png")
    if evaluation.forces is not None:
        save_figure(errors_by_element(evaluation), folder / "errors_by_element.png")
    content = {**evaluation.to_dict(), **committee, "provenance": provenance(calculator)}
    write_result(folder, content)
    common.to_database(options, "evaluate", lambda: evaluation_entries(evaluation), calculator)
    for table in error_tables(evaluation):
        console.print(table)
    if committee:
        console.print(committee_table(committee))
    # Whatever is shown of it, the user learns the main errors and where the rest is.
    headlines = ", ".join(f"{name} {value:.4g}" for name, value in evaluation.headlines.items())
    sys.stdout.write(f"{headlines}; files in {printable(str(folder))}\n")
    return 0


def committee_errors(calculator: Any, each: list[Evaluation]) -> dict[str, Any]:
    """Errors of every member, and how well their spread tells the error of the mean force."""
    from dataclasses import asdict

    from ase_geomformer.accuracy.spread import forces_spread_quality

    quality = forces_spread_quality(each, calculator.calibration)
    names = [member["name"] for member in calculator.parameters["members"]]
    members = [{"name": name, **one.headlines} for name, one in zip(names, each, strict=True)]
    found: dict[str, Any] = {"members": members}
    return found if quality is None else {**found, "forces_spread": asdict(quality)}


def committee_table(committee: dict[str, Any]) -> Any:
    """Table of :func:`committee_errors`."""
    from ase_geomformer.accuracy.readme.naming import readable
    from ase_geomformer.machine.display import Table, Text
    from ase_geomformer.machine.text import printable

    table = Table("", "value", "unit", title="Committee (errors above: of the mean)")
    for member in committee["members"]:
        for name, value in member.items():
            if name != "name":
                words, unit = readable(name)
                label = Text(printable(f"{member['name']}: {words}"))
                table.add_row(label, f"{value:.4g}", unit)
    said = {
        "calibration": "error / spread of forces",
        "exceedance": "share of errors above 3 calibrated spreads",
        "correlation": "rank correlation of error and spread",
    }
    for name, value in committee.get("forces_spread", {}).items():
        table.add_row(said[name], f"{value:.3g}", "")
    return table


def error_tables(evaluation: Evaluation) -> list[Any]:
    """Errors; force errors by element; the worst frame of each kind."""
    from ase_geomformer.accuracy.readme.naming import heading, readable, short_names
    from ase_geomformer.machine.display import Table, Text
    from ase_geomformer.machine.text import printable

    numbers = evaluation.to_dict()
    errors = Table("", "value", "unit", title="Errors")
    for name, value in numbers.items():
        if isinstance(value, float):
            words, unit = readable(name)
            errors.add_row(words, f"{value:.4g}", unit)
    tables = [errors]
    if evaluation.forces_by_element:
        columns = ("mae_meV_per_A", "rmse_meV_per_A", "max_error_meV_per_A")
        elements = Table("element", "atoms", *map(heading, columns), title="Forces")
        for symbol, found in numbers["forces_by_element"].items():
            values = (f"{found[column]:.4g}" for column in columns)
            elements.add_row(symbol, f"{found['atoms']:,}", *values)
        tables.append(elements)
    worst = Table("", "value", "unit", "formula", "frame", "file", title="Largest errors")
    files = short_names(frame.source for frame in evaluation.frames)
    for name, frames in evaluation.worst.items():
        (words, unit), first = readable(name), frames[0]
        file = Text(printable(files[first.source]))
        worst.add_row(words, f"{first.error:.4g}", unit, first.formula, str(first.index), file)
    return [*tables, worst]
