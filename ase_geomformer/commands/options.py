"""Options that several verbs share, and what they stand for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ase_geomformer.machine.files import expanded

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from jsonargparse import ArgumentParser, Namespace
    from rich.table import Table

    from ase_geomformer.calculator import PotentialCalculator
    from ase_geomformer.runs.result import RunResult

# What says where a run's files go and how it is shown, not what is computed.
_NOT_INPUTS = {"config", "output", "overwrite", "resume", "progress", "json"}


def add_input(parser: ArgumentParser, index: str, *, committee: bool = False) -> None:
    """Potential, structure, device and type.

    ``index`` is the default choice of frames, and ``committee`` allows several potentials.
    """
    group = parser.add_argument_group("what to compute, and where")
    several = "; [NAME, ...], or a folder of potentials, for a committee" if committee else ""
    group.add_argument(
        "--potential", type=list[str] | str if committee else str, required=True, metavar="NAME",
        help=f"name or path of a potential{several}",
    )  # fmt: skip
    group.add_argument(
        "--structure", required=True, metavar="FILE", help="file in any format that ASE reads"
    )
    group.add_argument("--index", default=index, help="frame or frames of it, as in ase.io.read")
    group.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")
    group.add_argument(
        "--dtype", default="auto", help="float32, float64, or auto: the potential's own type"
    )


def add_compile(parser: ArgumentParser) -> None:
    """How to be fast, for verbs that evaluate structures of similar sizes many times."""
    parser.add_argument(
        "--compile", action="store_true",
        help="compile the potential at the first step, for a minute or two, to be faster from then "
        "on; results repeat to rounding, not to the bit",
    )  # fmt: skip
    parser.add_argument(
        "--radial_tables", type=bool | Literal["auto"], default="auto",
        help="read filters of the distance from tables, within 1e-6 eV/atom and 1e-5 eV/Å; "
        "auto: in float32 on a CPU",
    )  # fmt: skip


def add_output(parser: ArgumentParser, *, required: bool) -> None:
    """Folder of the results."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "--output", type=str if required else str | None, required=required, metavar="DIR",
        help="new or empty folder for the results",
    )  # fmt: skip
    group.add_argument(
        "--overwrite", action="store_true", help="replace the results that DIR already holds"
    )


def inputs(options: Namespace) -> dict[str, Any]:
    """What ``settings.yaml`` records, so that ``--config settings.yaml`` computes the same."""
    return {name: value for name, value in vars(options).items() if name not in _NOT_INPUTS}


def settings_of(options: Namespace, kind: type) -> Any:
    """The settings, a dataclass of this kind, that the options hold."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})


def check_output(options: Namespace) -> Path | None:
    """The folder that the options ask for, if any; refused before any work if it cannot be used."""
    from ase_geomformer.runs.folder import check_folder

    if options.output is None:
        return None
    return check_folder(options.output, overwrite=options.overwrite or options.get("resume", False))


def give_results(
    options: Namespace,
    folder: Path | None,
    content: Mapping[str, Any],
    table: Callable[[], Table],
) -> None:
    """Write results into the folder, if there is one, and print them as JSON or as a table."""
    from rich.console import Console

    from ase_geomformer.runs.folder import start_folder, write_result
    from ase_geomformer.runs.plain import to_json

    if folder is not None:
        start_folder(folder, inputs(options))
        write_result(folder, content)
    if options.json:
        sys.stdout.write(to_json(content))
    else:
        Console().print(table())


def calculator(options: Namespace) -> PotentialCalculator:
    """The calculator that the options ask for."""
    from ase_geomformer.calculator import PotentialCalculator

    return PotentialCalculator(options.potential, **_calculator_options(options))


def calculator_or_committee(options: Namespace) -> Calculator:
    """The calculator that the options ask for, of one potential or of several."""
    from ase_geomformer.committee import CommitteeCalculator, is_committee

    if is_committee(options.potential):
        return CommitteeCalculator(options.potential, **_calculator_options(options))
    return calculator(options)


def _calculator_options(options: Namespace) -> dict[str, Any]:
    return {
        "device": options.device,
        "dtype": None if options.dtype == "auto" else options.dtype,
        "compile": options.get("compile", False),
        "radial_tables": options.get("radial_tables", "auto"),
    }


def exit_code(options: Namespace, result: RunResult) -> int:
    """0, or 1 if a run did not reach its goal; stderr then tells why, whatever --progress is."""
    from ase_geomformer.runs.report import complain

    if not options.progress:  # or it has been said
        complain(result.problem)
    return 1 if result.problem else 0


def structures(options: Namespace) -> list[Atoms]:
    """The structures that the options ask for, one at least.

    Raises
    ------
    ValueError
        If the file cannot be read or has no structure in it.
    FileNotFoundError
        If there is no such file.
    """
    from ase_geomformer.machine.bounded import check_structure_file
    from ase_geomformer.runs.reader import read_atoms

    path = expanded(options.structure)
    if not path.is_file():
        raise FileNotFoundError(f"there is no structure file {options.structure!r}")
    try:
        check_structure_file(path)
        found = read_atoms(path, str(options.index))
    except Exception as error:  # each of ASE's readers has errors of its own
        detail = str(error) or "it ends too early"
        raise ValueError(
            f"no structure {options.index!r} can be read from {options.structure!r}: {detail}"
        ) from error
    if not found:
        raise ValueError(f"there is no structure {options.index!r} in {options.structure!r}")
    return found


def single_structure(options: Namespace, verb: str) -> Atoms:
    """The one structure that the options ask for; ValueError if they ask for several."""
    found = structures(options)
    if len(found) > 1:
        raise ValueError(
            f"{verb} takes one structure, and --index {options.index} of {options.structure!r} "
            f"gives {len(found)}"
        )
    return found[0]
