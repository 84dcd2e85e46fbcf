"""Dispersion between atoms as coupled quantum Drude oscillators, damped at short distance.

The vdW-QDO energy of A. Khabibrakhmanov, D. V. Fedorov, A. Tkatchenko, J. Chem. Theory Comput.
19, 7895 (2023), as in SO3LR (Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025)): free atoms
scaled by their Hirshfeld ratios (A. Tkatchenko, M. Scheffler, Phys. Rev. Lett. 102, 073005
(2009)), with 1/(d^k + p^k) in place of 1/d^k (E. R. Johnson, A. D. Becke, J. Chem. Phys. 123,
024101 (2005)).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

import torch
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree, alpha
from torch import Tensor

from ase_geomformer.layers.embedding import NUM_ELEMENTS
from ase_geomformer.physics.far import FarPairTerm, PairSlopes
from ase_geomformer.physics.switch import smooth_switch, switch_with_slope
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# The width s of an oscillator as a polynomial of the vdW radius, both in Bohr.
WIDTH_COEFFICIENTS = (-0.00433008, 0.24428889, 0.04125273, -0.00078893)
# A vdW radius is this times the seventh root of the polarizability, in atomic units.
VDW_RADIUS = alpha ** (-4.0 / 21.0)
DAMPING_RADIUS = 2.54
C8_FACTOR, C10_FACTOR = 5.0, 245.0 / 8.0


@dataclass(frozen=True)
class DispersionSettings(Shown):
    """Range of the dispersion.

    Attributes
    ----------
    damping_scale
        Factor of the distances within which the attraction levels off.
    long_range_cutoff
        Radius in Å beyond which atoms do not attract each other; None for none.
    switch_width
        The attraction is smoothly switched off over this distance in Å before the cutoff.
    """

    damping_scale: float = ranged(1.2, 0, 1000, above=True)
    long_range_cutoff: float | None = ranged(12.0, 0, 10_000, "Å", above=True)
    switch_width: float = ranged(2.0, 0, 10_000, "Å", above=True)

    def __post_init__(self) -> None:
        check_settings(self)
        cutoff = self.long_range_cutoff
        if cutoff is not None and self.switch_width > cutoff:
            raise ValueError(
                f"switch_width={self.switch_width} Å must be at most long_range_cutoff={cutoff} Å"
            )


class Dispersion(FarPairTerm):
    """vdW-QDO dispersion of atoms with the Hirshfeld ratios that the architecture predicts.

    Parameters
    ----------
    settings : DispersionSettings
    """

    settings_class = DispersionSettings
    settings: DispersionSettings
    requires = ("hirshfeld_ratios",)
    free_polarizability: Tensor
    free_c6: Tensor

    def __init__(self, settings: DispersionSettings) -> None:
        super().__init__(settings)
        polarizability, c6 = free_atoms()
        self.register_buffer("free_polarizability", polarizability, persistent=False)
        self.register_buffer("free_c6", c6, persistent=False)

    def pair_energies(self, distances: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
        settings = self.settings
        polarizability, c6 = mixed(self.free_polarizability[numbers], self.free_c6[numbers], values)
        energies = Hartree * qdo_energy(
            distances / Bohr, polarizability, c6, settings.damping_scale
        )
        if settings.long_range_cutoff is None:
            return energies
        end = settings.long_range_cutoff
        return energies * smooth_switch(distances, end - settings.switch_width, end)

    def pair_slopes(self, distances: Tensor, numbers: Tensor, values: Tensor) -> PairSlopes:
        settings = self.settings
        free = self.free_polarizability.take(numbers)
        polarizability = 0.5 * (free * values).sum(dim=0)
        series, by_distance, by_polarizability = qdo_slopes(
            distances / Bohr, polarizability, settings.damping_scale
        )
        by_distance = by_distance / Bohr
        if settings.long_range_cutoff is not None:
            end = settings.long_range_cutoff
            near, slope = switch_with_slope(distances, end - settings.switch_width, end)
            by_distance = by_distance * near + series * slope
            series, by_polarizability = series * near, by_polarizability * near
        first, second = values * (-Hartree * free_pairs(free, self.free_c6.take(numbers)))
        c6 = values[0] * second
        shares = free * (0.5 * c6 * by_polarizability)
        return PairSlopes(
            c6 * series, c6 * by_distance, shares[0] + second * series, shares[1] + first * series
        )


def mixed(polarizability: Tensor, c6: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
    """Polarizability and C6 of pairs (P,) from those of the free atoms (2, P) and their ratios.

    An atom has its polarizability times the ratio and its C6 times the ratio squared. In the
    Slater-Kirkwood formula for C6 the ratios then factor out, and a ratio of zero does no harm.
    """
    free = free_pairs(polarizability, c6)
    return 0.5 * (polarizability * ratios).sum(dim=0), free * ratios.prod(dim=0)


def free_pairs(polarizability: Tensor, c6: Tensor) -> Tensor:
    """C6 of pairs (P,) of free atoms (2, P) by the formula of Slater and Kirkwood."""
    a_i, a_j = polarizability
    c_i, c_j = c6
    return 2.0 * c_i * c_j * a_i * a_j / (a_i * a_i * c_j + a_j * a_j * c_i)


def qdo_energy(distances: Tensor, polarizability: Tensor, c6: Tensor, scale: float) -> Tensor:
    """Energies of pairs; all arguments and the result (P,) in atomic units."""
    root = polarizability ** (1.0 / 7.0)
    width = torch.zeros_like(root)
    for coefficient in reversed(WIDTH_COEFFICIENTS):
        width = width * (VDW_RADIUS * root) + coefficient
    inverse_gamma = 2.0 * width * width
    d, p = distances * distances, (2.0 * DAMPING_RADIUS * scale * root) ** 2
    series = 1.0 / (d**3 + p**3)
    series = series + C8_FACTOR * inverse_gamma / (d**4 + p**4)
    series = series + C10_FACTOR * inverse_gamma**2 / (d**5 + p**5)
    return -c6 * series


def qdo_slopes(
    distances: Tensor, polarizability: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Energies of pairs by -C6, and their derivatives by distance and polarizability, all (P,)."""
    root = polarizability ** (1.0 / 7.0)
    radius = VDW_RADIUS * root
    width, widening = torch.zeros_like(root), torch.zeros_like(root)
    for coefficient in reversed(WIDTH_COEFFICIENTS):
        widening = torch.addcmul(width, widening, radius)
        width = width * radius + coefficient
    gamma = 2.0 * width * width  # its inverse
    d, p = distances * distances, (2.0 * DAMPING_RADIUS * scale * root) ** 2
    d4, p4 = d * d, p * p
    d6, p6 = d4 * d, p4 * p
    d8, p8 = d4 * d4, p4 * p4
    one, two, three = 1.0 / (d6 + p6), 1.0 / (d8 + p8), 1.0 / (d8 * d + p8 * p)
    second, third = C8_FACTOR * gamma * two, C10_FACTOR * gamma * gamma * three
    series = one + second + third
    one, two, three = 3.0 * one * one, 4.0 * second * two, 5.0 * third * three
    by_d = one * d4 + two * d6 + three * d8
    by_p = one * p4 + two * p6 + three * p8
    # Relative changes: of p, and of the inverse gamma, by that of the root.
    by_root = (second + 2.0 * third) * (2.0 * widening * radius / width) - 2.0 * p * by_p
    return series, -2.0 * distances * by_d, by_root / (7.0 * polarizability)


def free_atoms() -> tuple[Tensor, Tensor]:
    """Polarizability and C6 of the free atoms by atomic number (119,), in atomic units.

    NaN for the elements beyond the table, so that they cannot pass for atoms without dispersion.
    """
    table = torch.full((2, NUM_ELEMENTS), torch.nan, dtype=torch.float64)
    text = (resources.files(__package__) / "data" / "free_atoms.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    for row in rows:
        number = atomic_numbers[row["symbol"]]
        table[0, number], table[1, number] = float(row["polarizability"]), float(row["c6"])
    return table[0], table[1]
