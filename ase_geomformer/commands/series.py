"""A recipe of one structure, for several: a folder for each, and one result for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.commands import options as common
from ase_geomformer.runs.result import Entry, Listing, RecipeResult, Row

if TYPE_CHECKING:
    from jsonargparse import Namespace

STRUCTURES_FILE = "structures.traj"
_LONGEST_NAME = 40


@dataclass(frozen=True, eq=False, kw_only=True)
class SeriesResult(RecipeResult):
    """What a recipe found for each of several structures.

    Attributes
    ----------
    names, folders : list of str
        Of each structure.
    summaries : list of dict
        The summary of each result; ``converged`` and ``reason`` only where it failed.
    found : list of Entry
        For a database.
    """

    names: list[str]
    folders: list[str]
    summaries: list[dict[str, Any]]
    found: list[Entry]

    def entries(self) -> list[Entry]:
        return self.found

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "number_of_structures": len(self.names),
            "number_converged": sum(bool(one["converged"]) for one in self.summaries),
            "structures": [
                {"name": name, "folder": folder, **one}
                for name, folder, one in zip(self.names, self.folders, self.summaries, strict=True)
            ],
        }

    def listing(self) -> Listing:
        rows = tuple(
            (name, "yes" if one["converged"] else "no", str(one["reason"]), folder)
            for name, folder, one in zip(self.names, self.folders, self.summaries, strict=True)
        )
        return Listing(("structure", "converged", "", "folder"), rows)

    def rows(self) -> list[Row]:
        done = sum(bool(one["converged"]) for one in self.summaries)
        return [("converged", f"{done} of {len(self.names)}", "")]


def run_series(
    options: Namespace,
    settings: Any,
    evaluator: Any,
    structures: Sequence[Atoms],
    names: list[str],
    recipe: Callable[..., RecipeResult],
) -> SeriesResult:
    """Run a recipe for each structure, in folders of their own below the output.

    What cannot be done is named, and the others are done. A resumed run leaves out what converged.

    Parameters
    ----------
    options : Namespace
    settings : dataclass
    evaluator : Evaluator
        Shared by all.
    structures, names
    recipe : callable
        As those of :mod:`ase_geomformer.recipes`.
    """
    from ase_geomformer.recipes.base import Run

    resume = options.get("resume", False)
    given = common.inputs(options)
    run = Run(
        evaluator, settings, output=options.output, resume=resume, overwrite=options.overwrite,
        progress=options.progress, inputs=given,
    )  # fmt: skip
    folder = run.folder
    assert folder.path is not None
    _check_same(folder.path, structures, resumed=folder.resumed)
    run.start((STRUCTURES_FILE,), kept=(STRUCTURES_FILE,))
    if not folder.resumed:
        folder.save_atoms(STRUCTURES_FILE, list(structures))
    folders = [f"{place:04d}_{_slug(name)}" for place, name in enumerate(names)]
    summaries: list[dict[str, Any]] = []
    found: list[Entry] = []
    for place, (atoms, name) in enumerate(zip(structures, names, strict=True)):
        inner = folder.path / folders[place]
        done = _finished(inner) if resume else None
        if done is not None:
            summaries.append(done)
            continue
        inputs = {
            **given, "structure": str(folder.path / STRUCTURES_FILE), "index": str(place),
        }  # fmt: skip
        try:
            one = recipe(
                atoms, evaluator, settings, output=inner, resume=resume, inputs=inputs,
                overwrite=options.overwrite, progress=options.progress, compile_if_long=True,
            )  # fmt: skip
        except (ValueError, NotImplementedError) as error:
            summaries.append({"converged": False, "reason": f"failed: {error}"})
            continue
        summaries.append(one.summary())
        for entry in one.entries():
            label = f"{name}: {entry.name}" if entry.name else name
            found.append(Entry(label, entry.atoms, entry.numbers))
    count = sum(bool(one["converged"]) for one in summaries)
    result = SeriesResult(
        **run.outcome(count == len(names), f"{count} of {len(names)} structures converged"),
        names=names,
        folders=folders,
        summaries=summaries,
        found=found,
    )
    return run.finish(result, f"{len(names)} structures")


def _slug(name: str) -> str:
    """A name as a part of the name of a folder."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[:_LONGEST_NAME] or "structure"


def _finished(folder: Path) -> dict[str, Any] | None:
    """The summary of a run that has converged; None of any other."""
    from ase_geomformer.machine.bounded import read_json
    from ase_geomformer.runs.folder import RESULT_FILE

    if not (folder / RESULT_FILE).is_file():
        return None
    content = read_json(folder / RESULT_FILE)
    if not isinstance(content, dict) or content.get("converged") is not True:
        return None
    return {"reason": "", **{key: one for key, one in content.items() if key != "provenance"}}


def _check_same(folder: Path, structures: Sequence[Atoms], *, resumed: bool) -> None:
    """Refuse to resume with other structures than the run was started with."""
    from ase_geomformer.machine.bounded_structures import read_checked

    file = folder / STRUCTURES_FILE
    if not resumed or not file.exists():
        return
    stored = read_checked(file, format="traj")
    same = len(stored) == len(structures) and all(
        np.array_equal(one.numbers, other.numbers)
        and np.allclose(one.positions, other.positions, rtol=0, atol=1e-8)
        and np.allclose(one.cell.array, other.cell.array, rtol=0, atol=1e-8)
        for one, other in zip(stored, structures, strict=True)
    )
    if not same:
        raise ValueError(
            f"the run in {folder} was started with other structures; resume with the same in the "
            "same order, or start a new run"
        )
