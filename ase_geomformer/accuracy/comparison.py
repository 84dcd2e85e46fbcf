"""Labels and predictions of a potential, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from ase_geomformer.accuracy.errors import Array
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.cluster import ClusterEvaluator
from ase_geomformer.data.frames import Frame
from ase_geomformer.evaluate import BatchEvaluator, Evaluator, SerialEvaluator
from ase_geomformer.potential import Potential

TARGETS = ("energy", "forces", "stress")
"""What is compared, where it is labelled."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Labels and predictions of one target, in eV and Å.

    Attributes
    ----------
    reference, prediction : ndarray, shape (R, ...)
        R energies, force vectors or stress tensors.
    rows : ndarray, shape (R,), int64
        The frame, for forces the atom among all atoms of all frames, each belongs to.
    """

    reference: Array
    prediction: Array
    rows: NDArray[np.int64]

    @property
    def difference(self) -> Array:
        """Prediction minus reference."""
        return self.prediction - self.reference


def compare(
    potential: Potential | Calculator | ClusterEvaluator,
    frames: Sequence[Frame],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    progress: bool = False,
) -> dict[str, Comparison]:
    """Evaluate each frame for the labels it has.

    See :func:`~ase_geomformer.accuracy.evaluation.evaluate_frames`.

    Returns
    -------
    dict of str to Comparison
        By target, of the targets that some frame is labelled with.
    """
    if isinstance(potential, ClusterEvaluator):
        evaluate: Evaluator = potential
        model = potential.potential
        known = set(potential.calculator.implemented_properties)
        if model is not None:
            check_elements(model, frames)
            known = set(model.properties)
    elif isinstance(potential, Potential | PotentialCalculator):
        model = potential if isinstance(potential, Potential) else potential.potential
        check_elements(model, frames)
        known = set(model.properties)
        evaluate = BatchEvaluator(potential, device=device, dtype=dtype)
    else:
        known, evaluate = set(potential.implemented_properties), SerialEvaluator(potential)
    wanted = [tuple(n for n in labels(frame) if n in known) for frame in frames]
    if not any(wanted):
        raise ValueError(
            f"none of the {len(frames)} frames has labels; at least one must have an energy, "
            "forces or a stress"
        )
    predicted: list[dict[str, Any]] = [{} for _ in frames]
    for targets in dict.fromkeys(filter(None, wanted)):
        alike = [index for index, found in enumerate(wanted) if found == targets]
        results = evaluate([frames[index].atoms for index in alike], targets, progress=progress)
        for index, result in zip(alike, results, strict=True):
            check_finite(frames[index], result)
            predicted[index] = result
    present = {target for targets in wanted for target in targets}
    return {
        target: side_by_side(frames, predicted, target) for target in TARGETS if target in present
    }


def labels(frame: Frame) -> tuple[str, ...]:
    """The targets that a frame is labelled with."""
    return tuple(target for target in TARGETS if getattr(frame, target) is not None)


def check_elements(potential: Potential, frames: Sequence[Frame]) -> None:
    """Refuse, naming the frame, an element that the potential does not know."""
    for frame in frames:
        try:
            potential.check_elements(frame.atoms.numbers)
        except ValueError as error:
            raise ValueError(f"{frame.where}: {error}") from None


def check_finite(frame: Frame, result: dict[str, Any]) -> None:
    """Refuse a prediction of NaN, which would make every mean NaN without saying where."""
    for target, value in result.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{frame.where}: the potential gives NaN or infinite {target}")


def side_by_side(
    frames: Sequence[Frame], predicted: Sequence[dict[str, Any]], target: str
) -> Comparison:
    """Join the labels and predictions of one target over all frames that have it."""
    labelled = [index for index, result in enumerate(predicted) if target in result]
    reference = [getattr(frames[index], target) for index in labelled]
    prediction = [predicted[index][target] for index in labelled]
    if target == "forces":
        counts = [len(frame.atoms) for frame in frames]
        atoms = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
        return Comparison(
            np.concatenate(reference),
            np.concatenate(prediction),
            np.concatenate([atoms[index] for index in labelled]),
        )
    if target == "stress":
        prediction = [voigt_6_to_full_3x3_stress(stress) for stress in prediction]
    return Comparison(np.array(reference), np.array(prediction), np.array(labelled))
