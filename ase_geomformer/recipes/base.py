"""What all recipes share: the evaluator, the result and the run folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import torch

from ase_geomformer.evaluate import Evaluator, as_evaluator
from ase_geomformer.potential import Potential

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

# What a recipe takes as its potential.
PotentialLike: TypeAlias = "str | os.PathLike[str] | Potential | Calculator | Evaluator"


def recipe_evaluator(
    potential: PotentialLike,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str = "float64",
) -> Evaluator:
    """What evaluates structures for a recipe, in float64 unless the caller chose otherwise.

    Parameters
    ----------
    potential : str, path, Potential, ASE calculator or Evaluator
        A calculator or an evaluator keeps the type that it was made with.
    device, dtype
        For a potential by its name, path or itself.
    """
    if isinstance(potential, str | os.PathLike | Potential):
        return as_evaluator(potential, device=device, dtype=dtype)
    return as_evaluator(potential)
