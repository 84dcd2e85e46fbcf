"""Imaginary modes: whether a crystal is stable, and where it is not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

OnImaginary = Literal["error", "warn", "ignore"]


class ImaginaryModesError(ValueError):
    """The crystal has imaginary modes, and the settings ask for an error."""


class ImaginaryModesWarning(UserWarning):
    """The crystal has imaginary modes."""


@dataclass(frozen=True)
class Stability:
    """The lowest frequency that was found.

    Attributes
    ----------
    stable : bool
        Whether no frequency is below the tolerance.
    lowest_frequency_THz : float
        Negative where imaginary.
    lowest_q_point : tuple of float
        Where it is, in units of the primitive cell's reciprocal vectors.
    imaginary_share : float
        Part of the modes looked at that are below the tolerance.
    """

    stable: bool
    lowest_frequency_THz: float
    lowest_q_point: tuple[float, float, float]
    imaginary_share: float

    def __str__(self) -> str:
        if self.stable:
            return f"no imaginary modes (lowest {self.lowest_frequency_THz:.3f} THz)"
        place = ", ".join(f"{part:.3f}" for part in self.lowest_q_point)
        return (
            f"imaginary modes down to {-self.lowest_frequency_THz:.3f}i THz at q = ({place}), "
            f"{100 * self.imaginary_share:.1f} % of all"
        )


def stability(q_points: np.ndarray, frequencies_THz: np.ndarray, tolerance_THz: float) -> Stability:
    """Look for imaginary modes.

    Parameters
    ----------
    q_points : array (points, 3)
    frequencies_THz : array (points, branches)
    tolerance_THz : float
        How far below zero a frequency may be.
    """
    point, _ = np.unravel_index(np.argmin(frequencies_THz), frequencies_THz.shape)
    lowest = float(frequencies_THz.min())
    first, second, third = (float(part) for part in q_points[point])
    return Stability(
        stable=lowest >= -tolerance_THz,
        lowest_frequency_THz=lowest,
        lowest_q_point=(first, second, third),
        imaginary_share=float((frequencies_THz < -tolerance_THz).mean()),
    )


def report(found: Stability, what: OnImaginary) -> None:
    """Raise an error, warn or do nothing about imaginary modes.

    Raises
    ------
    ImaginaryModesError
        If there are some and ``what`` is "error".
    """
    if found.stable or what == "ignore":
        return
    text = f"{found}; the structure may not be a minimum, or the supercell may be too small"
    if what == "error":
        raise ImaginaryModesError(text)
    warnings.warn(text, ImaginaryModesWarning, stacklevel=3)
