"""Real spherical harmonics of edge directions, and the invariants made from them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from ase_geomformer.layers.written_gradient import WrittenGradient, is_by_formula


class Polar(WrittenGradient):
    """Lengths (E,) and unit vectors (E, 3) of vectors (E, 3)."""

    weights = ()

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (vectors,) = inputs
        squares = (vectors * vectors).sum(dim=-1)
        apart = squares > 0.0
        distances = torch.sqrt(torch.where(apart, squares, 1.0))
        directions = vectors / distances[:, None]
        return torch.where(apart, distances, 0.0), directions

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        (vectors,) = inputs
        distances = (vectors * vectors).sum(dim=-1).sqrt_()
        inverse = (1.0 / distances.masked_fill(distances == 0.0, 1.0))[:, None]
        directions = vectors * inverse
        return (distances, directions), (directions, inverse)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        (by_distance, by_direction), (directions, inverse) = slopes, kept
        along = (by_direction * directions).sum(dim=-1, keepdim=True)
        return ((by_direction - along * directions) * inverse + by_distance[:, None] * directions,)


_polar = Polar()


def distances_and_directions(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths (E,) and unit vectors (E, 3) of edge vectors (E, 3).

    Two atoms at the same place have no direction: length and direction are then zero, with zero
    gradient rather than NaN.
    """
    distances, directions = _polar(vectors)
    return distances, directions


class SphericalHarmonics(nn.Module):
    """Orthonormal real spherical harmonics of the degrees asked for, side by side.

    Convention: integral of Y^2 over the sphere is 1, no Condon-Shortley sign, components
    m = -l .. l; degree one is sqrt(3 / 4 pi) (y, z, x). These are e3nn's harmonics with
    ``normalization="integral"`` on permuted axes. Each is a homogeneous polynomial, and evaluation
    is one product of their coefficients with the monomials, which traces and differentiates twice
    without overhead.

    Parameters
    ----------
    degrees : sequence of int
        Degrees l in the order in which their 2l+1 components are wanted.
    """

    def __init__(self, degrees: Sequence[int]) -> None:
        super().__init__()
        self.degrees = tuple(degrees)
        self.dim = sum(2 * l + 1 for l in self.degrees)
        highest = self.degree = max(self.degrees, default=0)
        coefficients = _monomial_coefficients(highest)
        columns = torch.cat([torch.arange(l * l, (l + 1) ** 2) for l in self.degrees])
        self.register_buffer("coefficients", coefficients[:, columns], persistent=False)
        owner = torch.tensor([l for l in self.degrees for _ in range(2 * l + 1)])
        steepness = _derivatives(highest)[:, :, columns].flatten(1)
        shares = 1.0 / owner.clamp(min=1).double()
        constants = (owner == 0).double() * math.sqrt(0.25 / math.pi)
        self.register_buffer("steepness", steepness, persistent=False)
        self.register_buffer("shares", shares, persistent=False)
        self.register_buffer("constants", constants, persistent=False)
        parity = (-1.0) ** owner.double()
        self.register_buffer("parity", parity, persistent=False)

    coefficients: Tensor
    steepness: Tensor
    shares: Tensor
    constants: Tensor
    parity: Tensor

    def forward(self, directions: Tensor) -> Tensor:
        """Unit vectors (E, 3) to harmonics (E, sum of 2l+1)."""
        (values,) = Harmonics(self)(directions)
        return values

    def polynomials(self, directions: Tensor) -> Tensor:
        """The same by the product of coefficients and monomials."""
        x, y, z = directions.split(1, dim=1)
        powers = [torch.ones_like(x)]
        for degree in range(1, self.degree + 1):
            # Of the monomials one degree below, the last few are free of x, and one is of z alone.
            below = powers[-1]
            powers.append(torch.cat([x * below, y * below[:, -degree:], z * below[:, -1:]], dim=1))
        return torch.cat(powers, dim=1) @ self.coefficients


@dataclass(frozen=True)
class Harmonics(WrittenGradient):
    """Values (E, M) of harmonics at unit vectors (E, 3), from their gradients.

    A homogeneous polynomial is its gradient times the vector by its degree (Euler), so that
    monomials of one degree less give both.
    """

    of: SphericalHarmonics
    weights = ()

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.of.polynomials(*inputs),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        (directions,) = inputs
        powers = products(directions, self.of.degree)
        gradients = (powers @ self.of.steepness).unflatten(1, (3, -1))
        sums = (gradients * directions[:, :, None]).sum(dim=1)
        return (torch.addcmul(self.of.constants, sums, self.of.shares),), gradients

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        return ((kept * slopes[0][:, None]).sum(dim=2),)


def products(directions: Tensor, degree: int) -> Tensor:
    """Products of up to ``degree - 1`` components, (1 + 3 + 9 + ...) of them in each row."""
    powers = [torch.ones_like(directions[:, :1])]
    for _ in range(degree - 1):
        powers.append((powers[-1][:, :, None] * directions[:, None]).flatten(1))
    return torch.cat(powers, dim=1) if degree > 1 else powers[0]


# Rows from which a transposed product takes less time.
MANY_ROWS = 128


def few_columns(values: Tensor, weights: Tensor) -> Tensor:
    """The product of (..., M) and (M, d) with few columns d.

    On a CPU the transposed product of many rows takes a quarter to a tenth of the time for d of 4
    to 8.
    """
    if is_by_formula() or values.dim() != 2 or values.shape[0] < MANY_ROWS:
        return values @ weights
    return (weights.T @ values.T).T


class DegreeSum(nn.Module):
    """Sums and copies over the 2l+1 components of each degree.

    Parameters
    ----------
    degrees : sequence of int
        Degrees in the order in which their components are stored.
    rounded : bool
        Round the weights (2l+1)^(-1/2) to float32, whatever type computes with them.
    """

    owner: Tensor
    members: Tensor
    contraction: Tensor

    def __init__(self, degrees: Sequence[int], *, rounded: bool = False) -> None:
        super().__init__()
        self.num_degrees = len(degrees)
        sizes = torch.tensor([2 * l + 1 for l in degrees])
        owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        one_hot = torch.nn.functional.one_hot(owner, len(sizes)).to(torch.float64)
        contraction = one_hot / sizes.double().sqrt()
        if rounded:
            contraction = contraction.float().double()
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("members", one_hot, persistent=False)
        self.register_buffer("contraction", contraction, persistent=False)

    def invariants(self, values: Tensor) -> Tensor:
        """Per-degree invariants (2l+1)^(-1/2) sum_m v_lm^2: (..., M) to (..., number of degrees).

        This is the l x l -> 0 Clebsch-Gordan trace; without a root it is smooth at zero.
        """
        return few_columns(values * values, self.contraction)

    def gradient(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Gradient of :meth:`invariants` (..., M) from slopes (..., number of degrees)."""
        return 2.0 * values * (slopes @ self.contraction.T)

    def spread(self, per_degree: Tensor) -> Tensor:
        """Copy one number per degree to all its components: (..., degrees) to (..., M)."""
        return per_degree.index_select(-1, self.owner)


class DegreeNorm(DegreeSum):
    """Sums over degrees whose invariants are norms.

    Parameters
    ----------
    degrees : sequence of int
        Degrees in the order in which their components are stored.
    softening : float
        Makes a norm sqrt(|v|^2 + s^2) - s, which is smooth at zero. The plain norm has a cusp
        there, and the gradient zero is taken at its tip.
    """

    def __init__(self, degrees: Sequence[int], softening: float = 0.0) -> None:
        super().__init__(degrees)
        self.softening = softening

    def invariants(self, values: Tensor) -> Tensor:
        """Norm of each degree: (..., M) to (..., number of degrees)."""
        squares = few_columns(values * values, self.members)
        return softened_root(squares, self.softening) - self.softening

    def gradient(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Gradient of :meth:`invariants` (..., M) from slopes (..., number of degrees)."""
        roots = softened_root(few_columns(values * values, self.members), self.softening)
        shares = torch.where(roots > 0.0, slopes / torch.where(roots > 0.0, roots, 1.0), 0.0)
        return values * (shares @ self.members.T)

    def total(self, values: Tensor) -> Tensor:
        """Norm of all degrees together: (..., M) to (...)."""
        squares = (values * values).sum(dim=-1)
        return softened_root(squares, self.softening) - self.softening

    def normalised(self, values: Tensor, scales: Tensor) -> Tensor:
        """Values (..., M) with each degree brought to the length ``scales`` (degrees,)."""
        roots = softened_root((values * values) @ self.members, self.softening)
        inverse = torch.where(roots > 0.0, 1.0 / torch.where(roots > 0.0, roots, 1.0), 0.0)
        return values * self.spread(scales * inverse)


def softened_root(squares: Tensor, softening: float) -> Tensor:
    """sqrt(x + s^2), and zero with zero gradient where that vanishes."""
    summed = squares + softening**2
    positive = summed > 0.0
    return torch.where(positive, torch.sqrt(torch.where(positive, summed, 1.0)), 0.0)


Polynomial = Mapping[tuple[int, int, int], float]  # coefficients by the powers of x, y and z


@lru_cache(maxsize=8)
def _monomial_coefficients(highest: int) -> Tensor:
    """Coefficients (monomials, (highest+1)^2) of all harmonics up to a degree."""
    blocks = []
    for degree in range(highest + 1):
        # In the order in which the forward pass makes them: xxx, xxy, ..., zzz.
        monomials = [
            (x, y, degree - x - y) for x in range(degree, -1, -1) for y in range(degree - x, -1, -1)
        ]
        columns = [solid_harmonic(degree, order) for order in range(-degree, degree + 1)]
        rows = [[column.get(powers, 0.0) for column in columns] for powers in monomials]
        blocks.append(torch.tensor(rows, dtype=torch.float64))
    return torch.block_diag(*blocks)


@lru_cache(maxsize=8)
def _derivatives(highest: int) -> Tensor:
    """Coefficients (products, 3, (highest+1)^2) of the gradients of all harmonics up to a degree.

    The products are those of :func:`products`: of the equal ones among them, the first counts.
    """
    order: dict[tuple[int, int, int], int] = {}
    length = 0
    for degree in range(max(highest, 1)):
        for place, axes in enumerate(product(range(3), repeat=degree)):
            powers = (axes.count(0), axes.count(1), axes.count(2))
            order.setdefault(powers, length + place)
        length += 3**degree
    table = torch.zeros(length, 3, (highest + 1) ** 2, dtype=torch.float64)
    for degree in range(1, highest + 1):
        for m in range(-degree, degree + 1):
            for powers, number in solid_harmonic(degree, m).items():
                for axis in range(3):
                    if powers[axis]:
                        x, y, z = (p - (a == axis) for a, p in enumerate(powers))
                        table[order[x, y, z], axis, degree * degree + degree + m] += (
                            number * powers[axis]
                        )
    return table


def solid_harmonic(degree: int, order: int) -> Polynomial:
    """r^l Y_lm as a polynomial in x, y, z.

    The associated Legendre function over sin^m is a sum of z^(l-2k-m) r^2k, and sin^m times the
    cosine or sine of m phi is the real or imaginary part of (x + i y)^m (Whittaker and Watson,
    *A Course of Modern Analysis*, 15.1 and 18.31). All sums are of integers.
    """
    m = abs(order)
    total: dict[tuple[int, int, int], int] = defaultdict(int)
    azimuthal = [
        (p, math.comb(m, p) * (-1) ** ((m - p) // 2))
        for p in range(m + 1)
        if (m - p) % 2 == (order < 0)
    ]
    for k in range((degree - m) // 2 + 1):
        rest = degree - 2 * k - m
        legendre = (-1) ** k * math.comb(degree, k) * math.comb(2 * (degree - k), degree)
        legendre *= math.perm(degree - 2 * k, m)
        # The multinomial expansion of r^2k.
        for a in range(k + 1):
            for b in range(k - a + 1):
                c = k - a - b
                radial = math.comb(k, a) * math.comb(k - a, b)
                for p, factor in azimuthal:
                    powers = (p + 2 * a, m - p + 2 * b, rest + 2 * c)
                    total[powers] += legendre * radial * factor
    ratio = (2 * degree + 1) * (2 if m else 1) / math.perm(degree + m, 2 * m) / 4**degree
    norm = math.sqrt(ratio / (4.0 * math.pi))
    return {powers: norm * number for powers, number in total.items()}
