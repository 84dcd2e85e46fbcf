"""Coulomb interaction of partial charges, damped at short distance.

The learned energy describes atoms that are close; there the error function takes the divergence
off 1/d and leaves the long range. With a cutoff the potential is shifted by a constant and, near
the cutoff, by its force as well (C. J. Fennell, J. D. Gezelter, J. Chem. Phys. 124, 234104
(2006)), one going over smoothly into the other, as in SO3LR (Kabylda et al., J. Am. Chem. Soc.
147, 33723 (2025)).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.harmonics import distances_and_directions
from ase_geomformer.physics.base import COULOMB
from ase_geomformer.physics.far import FarPairTerm, check_long_range_cutoff, of_far_pairs
from ase_geomformer.physics.switch import smooth_switch

# Share of the cutoff from which the shifted potential goes over into the shifted-force one.
SWITCH_ON = 0.45


@dataclass(frozen=True)
class ElectrostaticsSettings:
    """Range of the Coulomb interaction.

    Attributes
    ----------
    damping_length
        The length s in Å of erf(d / s) / d.
    long_range_cutoff
        Radius in Å beyond which charges do not interact; None for none. Energies with different
        cutoffs cannot be compared: the shift acts at every distance.
    """

    damping_length: float = 4.0
    long_range_cutoff: float | None = 12.0

    def __post_init__(self) -> None:
        if not self.damping_length > 0:
            raise ValueError(f"damping_length must be positive, not {self.damping_length} Å")
        check_long_range_cutoff(self.long_range_cutoff)


class Electrostatics(FarPairTerm):
    """Damped Coulomb energy of the partial charges that the architecture predicts.

    Parameters
    ----------
    settings : ElectrostaticsSettings
    """

    settings_class = ElectrostaticsSettings
    settings: ElectrostaticsSettings
    requires = ("charges",)

    def pair_energies(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        settings = self.settings
        distances = distances_and_directions(graph.far_vectors)[0]
        first, second = of_far_pairs(outputs["charges"], graph)
        return (
            COULOMB
            * first
            * second
            * coulomb(distances, settings.damping_length, settings.long_range_cutoff)
        )


def coulomb(distances: Tensor, damping_length: float, cutoff: float | None = None) -> Tensor:
    """Damped potential of a unit charge in 1/Å, at distances in Å of any shape.

    Without a cutoff it is V(d) = erf(d / s) / d. With the cutoff R it is f (V - V(R)) + (1 - f)
    (V - V(R) - V'(R) (d - R)), where f is switched off between 0.45 R and R, and zero beyond:
    energy and force are continuous there, while the second derivative has a step of V''(R), about
    2 / R^3.
    """
    potential = _damped(distances, damping_length)
    if cutoff is None:
        return potential
    at_cutoff = math.erf(cutoff / damping_length) / cutoff
    gaussian = math.exp(-((cutoff / damping_length) ** 2))
    slope = (2.0 / math.sqrt(math.pi) / damping_length * gaussian - at_cutoff) / cutoff
    shifted = potential - at_cutoff
    near = smooth_switch(distances, SWITCH_ON * cutoff, cutoff)
    values = shifted - (1.0 - near) * slope * (distances - cutoff)
    return torch.where(distances < cutoff, values, 0.0)


def _damped(distances: Tensor, length: float) -> Tensor:
    """erf(d / length) / d, with its limit for atoms on one spot."""
    apart = distances > 0.0
    # The quotient diverges at zero: replace the operand first, so that no gradient is NaN.
    safe = torch.where(apart, distances, length)
    limit = 2.0 / (math.sqrt(math.pi) * length)
    return torch.where(apart, torch.erf(safe / length) / safe, limit)
