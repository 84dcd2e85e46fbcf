"""Radial bases: K smooth functions of the distance, the input of every radial filter.

Filters mark what they make of the distance alone by :class:`RadialFunction`, so that splines can
take its place, see :mod:`ase_geomformer.acceleration.tables`.

Formulas: PhysNet (Unke and Meuwly, J. Chem. Theory Comput. 15, 3678 (2019)), Bernstein (Unke et
al., Nat. Commun. 12, 7273 (2021)), Bessel (Gasteiger et al., ICLR 2020) and Gaussian (Schütt et
al., J. Chem. Phys. 148, 241722 (2018)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ase_geomformer.layers.decay import decaying_exp
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.spline import SplinePoint, SplineTable


class PhysNetBasis(nn.Module):
    """Gaussians in exp(-d), dense at short distance: exp(-beta (exp(-d) - mu_k)^2).

    The centres mu_k fill [exp(-cutoff), 1] evenly and beta = [2/K (1 - exp(-cutoff))]^-2;
    d is in Å inside the exponential.
    """

    centres: Tensor

    def __init__(self, num_basis: int, cutoff: float) -> None:
        super().__init__()
        span = 1.0 - math.exp(-cutoff)
        centres = torch.linspace(1.0 - span, 1.0, num_basis, dtype=torch.float64)
        self.register_buffer("centres", centres, persistent=False)
        self.beta = (2.0 / num_basis * span) ** -2

    def forward(self, distances: Tensor) -> Tensor:
        """Distances (E,) in Å to basis values (E, K)."""
        return decaying_exp(-self.beta * (torch.exp(-distances)[:, None] - self.centres) ** 2)


class BernsteinBasis(nn.Module):
    """Bernstein polynomials of u = exp(-gamma d): C(K-1, k) u^k (1-u)^(K-1-k).

    gamma is half an inverse Bohr, rounded to float32 as the reference code holds it even in
    float64 runs, without which energies differ in the eighth digit. Independent of the cutoff.
    """

    gamma = 0.9448630809783936
    log_binomials: Tensor
    powers: Tensor

    def __init__(self, num_basis: int, cutoff: float) -> None:
        super().__init__()
        top = num_basis - 1
        binomials = [math.log(math.comb(top, k)) for k in range(num_basis)]
        self.register_buffer(
            "log_binomials", torch.tensor(binomials, dtype=torch.float64), persistent=False
        )
        powers = torch.arange(num_basis, dtype=torch.float64)
        self.register_buffer("powers", powers, persistent=False)

    def forward(self, distances: Tensor) -> Tensor:
        """Distances (E,) in Å to basis values (E, K)."""
        # In logarithms high powers of small numbers neither underflow nor lose digits.
        # log(1 - u) diverges at d = 0, where atoms coincide; the shortest bond is 1e5 times longer.
        scaled = self.gamma * distances[:, None].clamp(min=1e-6)
        log_rest = torch.log(-torch.expm1(-scaled))
        top = self.powers.shape[0] - 1
        logarithms = self.log_binomials - self.powers * scaled + (top - self.powers) * log_rest
        return decaying_exp(logarithms)


class BesselBasis(nn.Module):
    """Spherical Bessel functions of order zero: sin(pi k d / cutoff) / d, k = 0 .. K-1.

    The reference code of So3krates counts from k = 0 and omits the factor sqrt(2/cutoff); the
    first function is then identically zero.
    """

    wave_numbers: Tensor

    def __init__(self, num_basis: int, cutoff: float) -> None:
        super().__init__()
        wave_numbers = math.pi / cutoff * torch.arange(num_basis, dtype=torch.float64)
        self.register_buffer("wave_numbers", wave_numbers, persistent=False)

    def forward(self, distances: Tensor) -> Tensor:
        """Distances (E,) in Å to basis values (E, K)."""
        column = distances[:, None]
        # At d = 0 the limit is the wave number. Not torch.sinc: its second derivative is NaN at
        # zero, which the first function is at every distance.
        apart = column > 1e-6
        safe = torch.where(apart, column, 1.0)
        return torch.where(apart, torch.sin(self.wave_numbers * safe) / safe, self.wave_numbers)


class GaussianBasis(nn.Module):
    """Gaussians on an even grid from 0 to the cutoff, as wide as their spacing; trainable."""

    def __init__(self, num_basis: int, cutoff: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.linspace(0.0, cutoff, num_basis))
        spacing = cutoff / (num_basis - 1)
        self.widths = nn.Parameter(torch.full((num_basis,), spacing))

    def forward(self, distances: Tensor) -> Tensor:
        """Distances (E,) in Å to basis values (E, K)."""
        return decaying_exp(-0.5 * ((distances[:, None] - self.centres) / self.widths) ** 2)


class RadialFunction(nn.Module, ABC):
    """A module, part of which is a function of the distance alone.

    A subclass defines :meth:`of_radial` and calls :meth:`radial_values`; it then reads a table
    where it has been given one. Its architecture must keep the radial basis it reads as
    ``radial_basis``, and nothing else may read that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table: SplineTable | None = None

    @abstractmethod
    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to values (E, F)."""

    def radial_values(self, radial: Tensor | SplinePoint) -> Tensor:
        """The same, or by the table, whose input the architecture then has instead of a basis."""
        if self.table is not None and isinstance(radial, SplinePoint):
            values: Tensor = self.table(radial)
            return values
        return self.of_radial(radial)  # type: ignore[arg-type]


class RadialLinear(RadialFunction):
    """Functions of the distance that are sums of the radial basis.

    Parameters
    ----------
    num_radial_basis, num_functions : int
        Widths K of the basis and F of what comes out.
    bias : bool
        Whether to add a trainable constant to each, zero at the start.
    """

    def __init__(self, num_radial_basis: int, num_functions: int, *, bias: bool = True) -> None:
        super().__init__()
        layer = dense(num_radial_basis, num_functions, bias=bias)
        self.weight, self.bias = layer.weight, layer.bias

    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to values (E, F)."""
        return nn.functional.linear(radial, self.weight, self.bias)

    def forward(self, radial: Tensor | SplinePoint) -> Tensor:
        """What the edges hold of their distances to values (E, F)."""
        return self.radial_values(radial)


class FadedBasis(nn.Module):
    """A radial basis times a cutoff function."""

    def __init__(
        self, basis: nn.Module, envelope: Callable[[Tensor, float], Tensor], cutoff: float
    ) -> None:
        super().__init__()
        self.basis, self.envelope, self.cutoff = basis, envelope, cutoff

    def forward(self, distances: Tensor) -> Tensor:
        """Distances (E,) in Å to basis values (E, K)."""
        values: Tensor = self.basis(distances) * self.envelope(distances, self.cutoff)[:, None]
        return values


RADIAL_BASES: dict[str, type[nn.Module]] = {
    "physnet": PhysNetBasis,
    "bernstein": BernsteinBasis,
    "bessel": BesselBasis,
    "gaussian": GaussianBasis,
}
