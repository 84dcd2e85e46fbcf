"""Accuracy that an architecture promises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of checks that depend on the architecture.

    Differences are relative to the largest value compared.

    Attributes
    ----------
    rotation
        Error of O(3) symmetry in float64.
    anharmonicity
        Relative change of a crystal's force constants by a displacement of 0.01 Å.
    float32_energy, float32_forces
        Difference of a float32 evaluation from one in float64.
    """

    rotation: float = 1e-11
    anharmonicity: float = 0.05
    float32_energy: float = 1e-5
    float32_forces: float = 1e-5
