"""Real spherical harmonics of edge directions, and the invariants made from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor, nn


def distances_and_directions(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths (E,) and unit vectors (E, 3) of edge vectors (E, 3).

    Two atoms at the same place have no direction: length and direction are then zero, with zero
    gradient rather than NaN.
    """
    squares = (vectors * vectors).sum(dim=-1)
    apart = squares > 0.0
    distances = torch.sqrt(torch.where(apart, squares, 1.0))
    directions = vectors / distances[:, None]
    return torch.where(apart, distances, 0.0), directions


class SphericalHarmonics(nn.Module):
    """Orthonormal real spherical harmonics of the degrees asked for, side by side.

    Convention: integral of Y^2 over the sphere is 1, no Condon-Shortley sign, components
    m = -l .. l; degree one is sqrt(3 / 4 pi) (y, z, x). These are e3nn's harmonics with
    ``normalization="integral"`` on permuted axes; as each is a homogeneous polynomial, its
    coefficients are read off e3nn once, and evaluation is one product with the monomials,
    which traces and differentiates twice without overhead.

    Parameters
    ----------
    degrees : sequence of int
        Degrees l in the order in which their 2l+1 components are wanted.
    """

    def __init__(self, degrees: Sequence[int]) -> None:
        super().__init__()
        self.degrees = tuple(degrees)
        self.dim = sum(2 * l + 1 for l in self.degrees)
        highest = max(self.degrees, default=0)
        coefficients = _monomial_coefficients(highest)
        columns = torch.cat([torch.arange(l * l, (l + 1) ** 2) for l in self.degrees])
        self.register_buffer("coefficients", coefficients[:, columns], persistent=False)

    coefficients: Tensor

    def forward(self, directions: Tensor) -> Tensor:
        """Unit vectors (E, 3) to harmonics (E, sum of 2l+1)."""
        x, y, z = directions.split(1, dim=1)
        powers = [torch.ones_like(x)]
        for degree in range(1, max(self.degrees, default=0) + 1):
            # Of the monomials one degree below, the last few are free of x, and one is of z alone.
            below = powers[-1]
            powers.append(torch.cat([x * below, y * below[:, -degree:], z * below[:, -1:]], dim=1))
        return torch.cat(powers, dim=1) @ self.coefficients


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
        self.register_buffer("contraction", contraction, persistent=False)

    def invariants(self, values: Tensor) -> Tensor:
        """Per-degree invariants (2l+1)^(-1/2) sum_m v_lm^2: (..., M) to (..., number of degrees).

        This is the l x l -> 0 Clebsch-Gordan trace; without a root it is smooth at zero.
        """
        return (values * values) @ self.contraction

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

    members: Tensor

    def __init__(self, degrees: Sequence[int], softening: float = 0.0) -> None:
        super().__init__(degrees)
        self.softening = softening
        members = torch.nn.functional.one_hot(self.owner, len(degrees)).to(torch.float64)
        self.register_buffer("members", members, persistent=False)

    def invariants(self, values: Tensor) -> Tensor:
        """Norm of each degree: (..., M) to (..., number of degrees)."""
        return softened_root((values * values) @ self.members, self.softening) - self.softening

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


def _monomials(degree: int) -> list[tuple[int, ...]]:
    """Monomials of a degree in order, as sorted tuples of axes, (0, 0, 2) for x x z."""
    return list(combinations_with_replacement(range(3), degree))


@lru_cache(maxsize=8)
def _monomial_coefficients(highest: int) -> Tensor:
    """Coefficients (monomials, (highest+1)^2) of all harmonics up to a degree, from e3nn."""
    from e3nn.o3 import spherical_harmonics

    points = np.random.default_rng(0).normal(size=(4 * (highest + 1) ** 2, 3))
    blocks = []
    for degree in range(highest + 1):
        design = np.stack([points[:, axes].prod(axis=1) for axes in _monomials(degree)], axis=1)
        # e3nn orders the axes (y, z, x) where the field's convention reads (x, y, z).
        rotated = torch.from_numpy(points[:, [1, 2, 0]].copy())
        values = spherical_harmonics(degree, rotated, normalize=False, normalization="integral")
        blocks.append(torch.from_numpy(np.linalg.lstsq(design, values.numpy(), rcond=None)[0]))
    return torch.block_diag(*blocks)
