"""Errors of averages over values that are correlated in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Fewer blocks than this say too little about their own spread.
_FEWEST_BLOCKS = 16


@dataclass(frozen=True)
class BlockAverage:
    """Mean with its standard error.

    Attributes
    ----------
    mean, error : float
    correlation : float
        How many values make one independent value (the statistical inefficiency).
    """

    mean: float
    error: float
    correlation: float


def block_average(values: np.ndarray) -> BlockAverage:
    """Mean and error by blocking (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989)).

    Neighbouring values are averaged in pairs, again and again. The error that the spread of the
    blocks suggests grows until blocks are longer than the correlation time; the largest one found
    with at least 16 blocks is taken.

    Parameters
    ----------
    values : array (T,)
        Equally spaced in time, 2 at least.

    Raises
    ------
    ValueError
        If there are fewer than two values, or one is not finite.
    """
    blocks = np.asarray(values, dtype=np.float64)
    if blocks.ndim != 1 or len(blocks) < 2 or not np.isfinite(blocks).all():
        raise ValueError("a block average needs two or more finite values in one dimension")
    mean, naive = float(blocks.mean()), _error(blocks)
    largest = naive
    while len(blocks) // 2 >= _FEWEST_BLOCKS:
        whole = len(blocks) // 2 * 2
        blocks = blocks[:whole].reshape(-1, 2).mean(axis=1)
        largest = max(largest, _error(blocks))
    return BlockAverage(mean, largest, (largest / naive) ** 2 if naive > 0 else 1.0)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
