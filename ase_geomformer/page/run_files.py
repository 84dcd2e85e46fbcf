"""What a page shows of one run, read from its folder."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase_geomformer.external import RUN_CODE
from ase_geomformer.machine.bounded import check_regular, read_json, read_yaml
from ase_geomformer.machine.files import expanded
from ase_geomformer.page import checks
from ase_geomformer.page.chart import Chart
from ase_geomformer.page.curves import charts_of
from ase_geomformer.page.numbers import Line, lines
from ase_geomformer.page.view import frames_of, view
from ase_geomformer.runs.folder import (
    COMMITTEE_FOLDER,
    FINAL_FILES,
    POTENTIAL_FOLDER,
    RESULT_FILE,
    SETTINGS_FILE,
)

# Bytes of all figures of a page together; more would make it slow to send.
MOST_FIGURE_BYTES = 2_000_000
# What a run resumes from.
RESUMED_FROM = ("restart*", "state.json")
_GOALS = ("converged", "completed", "passed")


@dataclass(frozen=True, eq=False, kw_only=True)
class RunPage:
    """One run.

    Attributes
    ----------
    name : str
        Name of the folder.
    verb : str
        What made it, if its command tells; empty otherwise.
    good : bool or None
        Whether the run reached its goal; None where that is not known.
    reason : str
        Why it ended, or that it has not.
    settings, provenance : dict of str to str
    numbers : list of (str, str, str)
        Name, value and unit.
    checks : list of (str, str, str, str)
        Name, status, what was found and what it means.
    charts : list of Chart
    figures : dict of str to str
        PNG files in base64.
    structure : dict or None
        For the view, see :func:`~ase_geomformer.page.view.view`.
    structure_file : str
    commands : dict of str to str
        The command that made the run, and the one that continues it.
    uses : dict of str to str
        How the potential that the run made is used; empty if it made none.
    notes : list of str
        What the page leaves out.
    """

    name: str
    verb: str
    good: bool | None
    reason: str
    settings: dict[str, str]
    provenance: dict[str, str]
    numbers: list[Line]
    checks: list[checks.Line]
    charts: list[Chart]
    figures: dict[str, str]
    structure: dict[str, Any] | None
    structure_file: str
    commands: dict[str, str]
    uses: dict[str, str]
    notes: list[str]


def read_run(source: str | os.PathLike[str]) -> RunPage:
    """Read the folder of a run.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it holds no run.
    ValueError
        If ``result.json`` or ``settings.yaml`` cannot be read. Other damaged files are named in
        the notes.
    """
    folder = expanded(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(source)!r}")
    if not any((folder / name).exists() for name in (RESULT_FILE, SETTINGS_FILE)):
        raise FileNotFoundError(
            f"{folder} holds neither {RESULT_FILE} nor {SETTINGS_FILE}; give the output folder of "
            "a run"
        )
    result = _mapping(folder / RESULT_FILE, read_json)
    settings = _mapping(folder / SETTINGS_FILE, read_yaml)
    origin = result.get("provenance") or {}
    command = str(origin.get("command", ""))
    verb = _verb(command)
    charts, notes = charts_of(folder)
    structure, structure_file = _structure(folder, notes)
    return RunPage(
        name=folder.resolve().name,
        verb=verb,
        good=next((bool(result[name]) for name in _GOALS if name in result), None),
        reason=str(result.get("reason") or ("" if result else "this run has not ended yet")),
        settings=_flat(settings),
        provenance=_flat(origin),
        numbers=list(lines(result)),
        checks=list(checks.check_lines(result.get("checks"))),
        charts=charts,
        figures=_figures(folder, notes),
        structure=structure,
        structure_file=structure_file,
        commands=_commands(verb, command, folder, settings),
        uses=_uses(folder),
        notes=notes,
    )


def _mapping(path: Path, reader: Any) -> dict[str, Any]:
    content = reader(path) if path.exists() else {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not hold what a run writes there")
    return content


def _verb(command: str) -> str:
    """The verb of a command line of ours; empty for a Python script."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    ours = words and Path(words[0]).name in ("ase-geomformer", "-c")
    return words[1] if ours and len(words) > 1 else ""


def _commands(verb: str, command: str, folder: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    if not verb:
        return {"run by": command} if command else {}
    words = ["ase-geomformer", verb, "--config", str(folder / SETTINGS_FILE)]
    for option in RUN_CODE:
        if settings.get(option) is not None:
            words += [f"--{option}", str(settings[option])]
    again = shlex.join([*words, "--output", f"{folder}-again"])
    found = {"run by": shlex.join(["ase-geomformer", *shlex.split(command)[1:]]), "repeat": again}
    if any(next(folder.glob(pattern), None) for pattern in RESUMED_FROM):
        further = [*words, "--output", str(folder), "--resume"]
        if "minutes" in settings:  # what has used its time needs more of it
            further += ["--minutes", f"{2 * float(settings['minutes']):g}"]
        found["resume"] = shlex.join(further)
    return found


def _uses(folder: Path) -> dict[str, str]:
    """How the potential of a run is used, if it made one."""
    potential, committee = folder / POTENTIAL_FOLDER, folder / COMMITTEE_FOLDER
    if not potential.is_dir():
        return {}
    final = folder / FINAL_FILES[-1]
    atoms = str(final) if final.exists() else "structure.xyz"
    words = ["ase-geomformer", "md", "--structure", atoms, "--output", f"{folder}-md"]
    found = {
        "Python": f"atoms.calc = ase_geomformer.PotentialCalculator({str(potential)!r})",
        "dynamics": shlex.join([*words, "--potential", str(potential)]),
    }
    if committee.is_dir():
        found["with uncertainty"] = shlex.join([*words, "--potential", str(committee)])
    return found


def _structure(folder: Path, notes: list[str]) -> tuple[dict[str, Any] | None, str]:
    try:
        frames, name = frames_of(folder)
        return (view(frames) if frames else None), name
    except Exception as error:  # damaged files raise whatever their readers do
        notes.append(f"there is no view of the structure: {error or type(error).__name__}")
        return None, ""


def _figures(folder: Path, notes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    left = MOST_FIGURE_BYTES
    for path in sorted(folder.glob("*.png")):
        size = check_regular(path)
        if size > left:
            notes.append(f"{path.name} is left out: the figures of a page take up to 2 MB")
            continue
        left -= size
        found[path.name] = base64.b64encode(path.read_bytes()).decode("ascii")
    return found


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values under dotted names, as text; what is not set is left out."""
    found: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = str(value)
    return found
