"""An evaluation as rows of a database: every frame with what was predicted, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from ase_geomformer.accuracy.errors import Array
from ase_geomformer.accuracy.evaluation import Evaluation
from ase_geomformer.data.frames import Frame
from ase_geomformer.runs.result import Entry

Found = tuple[Any, dict[str, float]]


def evaluation_entries(evaluation: Evaluation) -> list[Entry]:
    """The frames, with predicted energy, forces and stress where these are labelled.

    The numbers of each are ``source`` and ``index`` of the frame, ``energy_error_meV_per_atom``
    (prediction less label), ``forces_rmse_meV_per_A`` (over components), and largest absolute
    errors of a force and a component of the stress, ``forces_max_error_meV_per_A`` and
    ``stress_max_error_GPa``. Names are those in ``info["name"]``, or file and index.
    """
    frames = evaluation.frames
    predicted: list[dict[str, Any]] = [{} for _ in frames]
    numbers: list[dict[str, Any]] = [
        {"source": frame.source, "index": frame.index} for frame in frames
    ]
    for target, found in evaluation.comparisons.items():
        owners = evaluation.atom_frames[found.rows] if target == "forces" else found.rows
        chosen, starts = np.unique(owners, return_index=True)  # entries of a frame are in a row
        values, differences = (
            np.split(array, starts[1:]) for array in (found.prediction, found.difference)
        )
        for row, value, difference in zip(chosen.tolist(), values, differences, strict=True):
            predicted[row][target], errors = _BY_TARGET[target](value, difference, frames[row])
            numbers[row] |= errors
    entries = []
    for frame, results, errors in zip(frames, predicted, numbers, strict=True):
        atoms = frame.atoms.copy()
        atoms.calc = SinglePointCalculator(atoms, **results)
        name = atoms.info.get("name")
        called = name if isinstance(name, str) else f"{Path(frame.source).name}:{frame.index}"
        entries.append(Entry(called, atoms, errors))
    return entries


def _energy(value: Array, difference: Array, frame: Frame) -> Found:
    per_atom = 1e3 * float(difference[0]) / len(frame.atoms)
    return float(value[0]), {"energy_error_meV_per_atom": per_atom}


def _forces(value: Array, difference: Array, _frame: Frame) -> Found:
    return value, {
        "forces_rmse_meV_per_A": 1e3 * float(np.sqrt((difference**2).mean())),
        "forces_max_error_meV_per_A": 1e3 * float(np.linalg.norm(difference, axis=1).max()),
    }


def _stress(value: Array, difference: Array, _frame: Frame) -> Found:
    largest = float(np.abs(difference).max() / units.GPa)
    return full_3x3_to_voigt_6_stress(value[0]), {"stress_max_error_GPa": largest}


_BY_TARGET: dict[str, Callable[[Array, Array, Frame], Found]] = {
    "energy": _energy,
    "forces": _forces,
    "stress": _stress,
}
"""By target: the prediction for one frame as ASE has it, and its errors."""
