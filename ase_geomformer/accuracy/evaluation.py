"""Predictions and errors of a potential on labelled structures, and the worst frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import units
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_geomformer.accuracy.comparison import Comparison, compare
from ase_geomformer.accuracy.errors import (
    Array,
    EnergyErrors,
    ForceErrors,
    StressErrors,
    energy_errors,
    force_errors,
    stress_errors,
)
from ase_geomformer.cluster import ClusterEvaluator
from ase_geomformer.data.frames import Frame, elements
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.prepared import as_potential

HEADLINES = ("energy_mae_meV_per_atom", "forces_mae_meV_per_A", "stress_mae_GPa")
"""The errors that a card's figures quote."""

NPZ_UNITS = {"energy": "eV", "forces": "eV_per_A", "stress": "eV_per_A3"}
WORST_LISTED = 5


@dataclass(frozen=True)
class WorstFrame:
    """A frame with a large error: file, index, formula and error."""

    source: str
    index: int
    formula: str
    error: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions, labels and errors.

    Attributes
    ----------
    frames : tuple of Frame
        The labelled structures, in order.
    comparisons : dict of str to Comparison
        By target (``energy``, ``forces``, ``stress``), of the targets that are labelled at all.
    """

    frames: tuple[Frame, ...]
    comparisons: dict[str, Comparison]

    @cached_property
    def atom_counts(self) -> NDArray[np.int64]:
        """Number of atoms of each frame, shape (F,)."""
        return np.array([len(frame.atoms) for frame in self.frames], dtype=np.int64)

    @cached_property
    def atomic_numbers(self) -> NDArray[np.int64]:
        """Atomic numbers of all atoms of all frames, shape (N,)."""
        return np.concatenate([frame.atoms.numbers for frame in self.frames]).astype(np.int64)

    @cached_property
    def atom_frames(self) -> NDArray[np.int64]:
        """The frame of each atom, shape (N,)."""
        return np.repeat(np.arange(len(self.frames)), self.atom_counts)

    @cached_property
    def energy(self) -> EnergyErrors | None:
        """Errors of energies; None where no frame has one."""
        if (found := self.comparisons.get("energy")) is None:
            return None
        return energy_errors(found.reference, found.prediction, self.atom_counts[found.rows])

    @cached_property
    def forces(self) -> ForceErrors | None:
        """Errors of forces; None where no frame has them."""
        if (found := self.comparisons.get("forces")) is None:
            return None
        return force_errors(found.reference, found.prediction)

    @cached_property
    def stress(self) -> StressErrors | None:
        """Errors of stresses; None where no frame has one."""
        if (found := self.comparisons.get("stress")) is None:
            return None
        return stress_errors(found.reference, found.prediction)

    @cached_property
    def forces_by_element(self) -> dict[str, ForceErrors]:
        """Errors of the forces on each element's atoms, in the order of the periodic table."""
        if (found := self.comparisons.get("forces")) is None:
            return {}
        numbers = self.atomic_numbers[found.rows]
        return {
            chemical_symbols[number]: force_errors(
                found.reference[numbers == number], found.prediction[numbers == number]
            )
            for number in np.unique(numbers).tolist()
        }

    @cached_property
    def worst(self) -> dict[str, tuple[WorstFrame, ...]]:
        """The frames with the largest errors, worst first, by kind of error and its unit.

        ``energy_error_meV_per_atom``; ``forces_max_error_meV_per_A``, the largest error of an
        atom's force; ``stress_max_error_GPa``, of a component.
        """
        ranked = {}
        for target, found in self.comparisons.items():
            name, sizes, owners = _SIZES[target](self, found)
            by_frame = np.full(len(self.frames), -np.inf)
            np.maximum.at(by_frame, owners, sizes)
            labelled = np.unique(owners)
            order = labelled[np.argsort(-by_frame[labelled], kind="stable")][:WORST_LISTED]
            ranked[name] = tuple(_worst_frame(self.frames[i], by_frame[i]) for i in order)
        return ranked

    @cached_property
    def by_file(self) -> dict[str, Evaluation]:
        """Evaluations of each file, in order; empty if there is only one file."""
        sources = np.array([frame.source for frame in self.frames])
        names = list(dict.fromkeys(sources.tolist()))
        return {name: self.select(sources == name) for name in names if len(names) > 1}

    def select(self, chosen: NDArray[np.bool_]) -> Evaluation:
        """The evaluation of some of the frames, by a mask of shape (F,)."""
        comparisons = {}
        for target, found in self.comparisons.items():
            members = chosen[self.atom_frames] if target == "forces" else chosen
            kept = members[found.rows]
            if kept.any():
                rows = (np.cumsum(members) - 1)[found.rows[kept]]
                comparisons[target] = Comparison(
                    found.reference[kept], found.prediction[kept], rows
                )
        return Evaluation(tuple(compress(self.frames, chosen)), comparisons)

    @property
    def headlines(self) -> dict[str, float]:
        """The few errors that a card quotes."""
        errors = self.to_dict()
        return {name: errors[name] for name in HEADLINES if name in errors}

    def to_dict(self) -> dict[str, Any]:
        """Sizes and errors as plain values, with units in their names; nothing unlabelled."""
        content = self.totals()
        content["forces_by_element"] = {
            symbol: asdict(errors) for symbol, errors in self.forces_by_element.items()
        }
        content["worst_frames"] = {
            name: [asdict(frame) for frame in frames] for name, frames in self.worst.items()
        }
        if self.by_file:
            content["by_file"] = {name: part.totals() for name, part in self.by_file.items()}
        return content

    def totals(self) -> dict[str, Any]:
        """Sizes and errors of all frames together, as in :meth:`to_dict`."""
        content: dict[str, Any] = {
            "frames": len(self.frames),
            "atoms": int(self.atom_counts.sum()),
            "elements": list(elements(self.frames)),
        }
        for target in self.comparisons:
            errors = getattr(self, target)
            content |= {f"{target}_{name}": value for name, value in asdict(errors).items()}
        return content

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write labels and predictions as npz, atomically.

        Arrays ``TARGET_reference_UNIT`` and ``TARGET_prediction_UNIT`` hold what is labelled,
        ``TARGET_row`` the frame or, for forces, the atom of each entry. ``frame_source``,
        ``frame_index`` and ``frame_atoms`` (F,) describe the frames, ``atomic_numbers`` and
        ``atom_frame`` (N,) all their atoms.
        """
        arrays: dict[str, Any] = {
            "frame_source": np.array([frame.source for frame in self.frames]),
            "frame_index": np.array([frame.index for frame in self.frames]),
            "frame_atoms": self.atom_counts,
            "atomic_numbers": self.atomic_numbers,
            "atom_frame": self.atom_frames,
        }
        for target, found in self.comparisons.items():
            unit = NPZ_UNITS[target]
            arrays[f"{target}_reference_{unit}"] = found.reference
            arrays[f"{target}_prediction_{unit}"] = found.prediction
            arrays[f"{target}_row"] = found.rows
        with atomic_file(Path(path).with_suffix(".npz")) as temporary:
            np.savez_compressed(temporary, **arrays)


def evaluate_frames(
    potential: str | os.PathLike[str] | Potential | Calculator | ClusterEvaluator,
    frames: Iterable[Frame],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    progress: bool = False,
) -> Evaluation:
    """Compare a potential with labelled structures.

    Parameters
    ----------
    potential : str, path, Potential, ASE calculator or ClusterEvaluator
    frames : iterable of Frame
        Each is evaluated for the labels it has; frames without labels are skipped.
    device, dtype, progress
        As in :func:`~ase_geomformer.evaluate.evaluate_many`; the first two are for a potential.

    Raises
    ------
    ValueError
        If no frame has a label, a frame has an element that the potential does not know, or a
        prediction is not finite. The message names file and frame.
    """
    frames = tuple(frames)
    if isinstance(potential, str | os.PathLike | Potential):
        potential = as_potential(potential)
    return Evaluation(
        frames, compare(potential, frames, device=device, dtype=dtype, progress=progress)
    )


Sizes = tuple[str, Array, NDArray[np.int64]]


def _energy_sizes(evaluation: Evaluation, found: Comparison) -> Sizes:
    per_atom = found.difference / evaluation.atom_counts[found.rows]
    return "energy_error_meV_per_atom", 1e3 * np.abs(per_atom), found.rows


def _force_sizes(evaluation: Evaluation, found: Comparison) -> Sizes:
    lengths = 1e3 * np.linalg.norm(found.difference, axis=1)
    return "forces_max_error_meV_per_A", lengths, evaluation.atom_frames[found.rows]


def _stress_sizes(_evaluation: Evaluation, found: Comparison) -> Sizes:
    return "stress_max_error_GPa", np.abs(found.difference).max(axis=(1, 2)) / units.GPa, found.rows


_SIZES: dict[str, Callable[[Evaluation, Comparison], Sizes]] = {
    "energy": _energy_sizes,
    "forces": _force_sizes,
    "stress": _stress_sizes,
}
"""By target: name and unit of an error, its size for each entry, and the frame of each entry."""


def _worst_frame(frame: Frame, error: float) -> WorstFrame:
    return WorstFrame(frame.source, frame.index, frame.atoms.get_chemical_formula(), float(error))
