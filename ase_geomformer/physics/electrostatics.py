"""Coulomb interaction of partial charges, damped at short distance.

The learned energy describes atoms that are close; there the error function takes the divergence
off 1/d and leaves the long range. A sum that ends at a cutoff has one of two forms:

- ``neutral``: the charge within the cutoff sphere of each atom is neutralised on its surface, the
  atom's own charge included (D. Wolf et al., J. Chem. Phys. 110, 8254 (1999)), and near the cutoff
  force and curvature are shifted to zero as well (C. J. Fennell, J. D. Gezelter, J. Chem. Phys.
  124, 234104 (2006), who shift the force). It goes to the whole sum as the cutoff grows: for the
  water dimer of SO3LR it is within 0.01 kcal/mol from 8 Å on.
- ``published``: the form of SO3LR (Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025)), without
  the atoms' own charges and without damping. All interactions of neutral molecules are then too
  strong: of the water dimer by 1.6 kcal/mol at 12 Å.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ase_geomformer.physics.base import COULOMB
from ase_geomformer.physics.far import FarPairTerm, PairSlopes
from ase_geomformer.physics.switch import smooth_switch, switch_with_slope
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# Share of the cutoff from which the shifted potential goes over into the shifted-force one.
SWITCH_ON = 0.45
# Damping of the neutral form, 1/Å, and the largest in units of 1/s: a part erf(a d) / d of the
# potential is left out beyond what it does to an atom itself. Twice as much, and slabs of water are
# off by 3 meV/molecule at any cutoff; half as much, and those of rock salt by 40 meV/atom at 12 Å.
DAMPING = 0.1
LARGEST_DAMPING = 0.4


@dataclass(frozen=True)
class ElectrostaticsSettings(Shown):
    """Range of the Coulomb interaction.

    Attributes
    ----------
    damping_length
        The length s in Å of erf(d / s) / d.
    long_range_cutoff
        Radius in Å beyond which charges do not interact; None for none.
    truncation
        How the sum ends there: ``neutral``, which is close to the sum without an end, or
        ``published``, whose energies with different cutoffs cannot be compared.
    """

    damping_length: float = ranged(4.0, 0, 1000, "Å", above=True)
    long_range_cutoff: float | None = ranged(12.0, 0, 10_000, "Å", above=True)
    truncation: Literal["neutral", "published"] = "neutral"

    def __post_init__(self) -> None:
        check_settings(self)


class Electrostatics(FarPairTerm):
    """Damped Coulomb energy of the partial charges that the architecture predicts.

    Parameters
    ----------
    settings : ElectrostaticsSettings
    """

    settings_class = ElectrostaticsSettings
    settings: ElectrostaticsSettings
    requires = ("charges",)

    def pair_energies(self, distances: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
        settings = self.settings
        if settings.truncation == "neutral" and settings.long_range_cutoff is not None:
            potential = neutral(distances, settings.damping_length, settings.long_range_cutoff)
        else:
            potential = coulomb(distances, settings.damping_length, settings.long_range_cutoff)
        return COULOMB * values[0] * values[1] * potential

    def pair_slopes(self, distances: Tensor, numbers: Tensor, values: Tensor) -> PairSlopes:
        first, second = COULOMB * values
        potential, slope = self._potential(distances)
        by_first, by_second = second * potential, first * potential
        return PairSlopes(values[0] * by_first, values[0] * second * slope, by_first, by_second)

    def _potential(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Potential of a unit charge in 1/Å and its derivative, in the form of the settings."""
        length, cutoff = self.settings.damping_length, self.settings.long_range_cutoff
        potential, slope = _damped_with_slope(distances, length)
        if cutoff is None:
            return potential, slope
        value, steepness, curvature = _at(cutoff, length)
        if self.settings.truncation == "neutral":
            width = 1.0 / _damping(length)
            left_out, left_out_slope = _damped_with_slope(distances, width)
            potential, slope = potential - left_out, slope - left_out_slope
            there = _at(cutoff, width)
            value, steepness, curvature = (
                value - there[0],
                steepness - there[1],
                curvature - there[2],
            )
        else:
            curvature = 0.0
        near, near_slope = switch_with_slope(distances, SWITCH_ON * cutoff, cutoff)
        inward, away = distances - cutoff, 1.0 - near
        end = inward * (steepness + 0.5 * curvature * inward)
        end_slope = steepness + curvature * inward
        outside = distances >= cutoff
        potential = potential - value - away * end
        slope = slope + near_slope * end - away * end_slope
        return potential.masked_fill_(outside, 0.0), slope.masked_fill_(outside, 0.0)

    def self_energies(self, outputs: Mapping[str, Tensor]) -> Tensor | None:
        settings = self.settings
        if settings.truncation != "neutral" or settings.long_range_cutoff is None:
            return None
        charges = outputs["charges"]
        own = neutral_self(settings.damping_length, settings.long_range_cutoff)
        return COULOMB * own * charges * charges


def coulomb(distances: Tensor, damping_length: float, cutoff: float | None = None) -> Tensor:
    """Damped potential of a unit charge in 1/Å, at distances in Å of any shape.

    Without a cutoff it is V(d) = erf(d / s) / d. With the cutoff R it is f (V - V(R)) + (1 - f)
    (V - V(R) - V'(R) (d - R)), where f is switched off between 0.45 R and R, and zero beyond:
    energy and force are continuous there, while the second derivative has a step of V''(R), about
    2 / R^3. This is the ``published`` form.
    """
    potential = _damped(distances, damping_length)
    if cutoff is None:
        return potential
    at_cutoff, slope, _ = _at(cutoff, damping_length)
    shifted = potential - at_cutoff
    near = smooth_switch(distances, SWITCH_ON * cutoff, cutoff)
    values = shifted - (1.0 - near) * slope * (distances - cutoff)
    return torch.where(distances < cutoff, values, 0.0)


def neutral(distances: Tensor, damping_length: float, cutoff: float) -> Tensor:
    """The ``neutral`` form of the potential of a unit charge in 1/Å, at distances in Å.

    With V(d) = (erf(d / s) - erf(a d)) / d it is V - V(R), from which slope and curvature at R are
    taken off towards the cutoff, (1 - f) (V'(R) (d - R) + V''(R) (d - R)^2 / 2), with f switched
    off between 0.45 R and R: up to the second derivative it ends continuously.
    """
    width = 1.0 / _damping(damping_length)
    here = _at(cutoff, damping_length)
    there = _at(cutoff, width)
    value, slope, curvature = (one - other for one, other in zip(here, there, strict=True))
    potential = _damped(distances, damping_length) - _damped(distances, width)
    near = smooth_switch(distances, SWITCH_ON * cutoff, cutoff)
    inward = distances - cutoff
    end = inward * (slope + 0.5 * curvature * inward)
    values = potential - value - (1.0 - near) * end
    return torch.where(distances < cutoff, values, 0.0)


def neutral_self(damping_length: float, cutoff: float) -> float:
    """Energy of a unit charge with what neutralises it in the ``neutral`` form, 1/Å.

    -V(R) / 2, from its own share of the charge on the sphere, and -a / sqrt(pi), half the limit of
    -erf(a d) / d: the part of the potential left out contains its interaction with itself.
    """
    damping = _damping(damping_length)
    value = _at(cutoff, damping_length)[0] - _at(cutoff, 1.0 / damping)[0]
    return -0.5 * value - damping / math.sqrt(math.pi)


def _damping(damping_length: float) -> float:
    return min(DAMPING, LARGEST_DAMPING / damping_length)


def _at(distance: float, length: float) -> tuple[float, float, float]:
    """erf(d / length) / d at one distance, with its first and second derivative."""
    value = math.erf(distance / length) / distance
    gaussian = 2.0 / math.sqrt(math.pi) / length * math.exp(-((distance / length) ** 2))
    slope = (gaussian - value) / distance
    curvature = -2.0 * gaussian / length**2 - 2.0 * slope / distance
    return value, slope, curvature


def _damped(distances: Tensor, length: float) -> Tensor:
    """erf(d / length) / d, with its limit for atoms on one spot."""
    apart = distances > 0.0
    # The quotient diverges at zero: replace the operand first, so that no gradient is NaN.
    safe = torch.where(apart, distances, length)
    limit = 2.0 / (math.sqrt(math.pi) * length)
    return torch.where(apart, torch.erf(safe / length) / safe, limit)


def _damped_with_slope(distances: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """:func:`_damped` and its derivative, which is zero for atoms on one spot."""
    together = distances == 0.0
    inverse = 1.0 / distances.masked_fill(together, 1.0)
    scaled = distances / length
    limit = 2.0 / (math.sqrt(math.pi) * length)
    values = torch.erf(scaled).mul_(inverse).masked_fill_(together, limit)
    gaussian = torch.exp(-scaled * scaled).mul_(limit)
    return values, ((gaussian - values) * inverse).masked_fill_(together, 0.0)
