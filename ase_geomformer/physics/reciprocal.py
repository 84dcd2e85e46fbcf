"""The reciprocal-space sum of Ewald's method, for charges that are smeared out.

P. P. Ewald, Ann. Phys. 369, 253 (1921). The wave exp(i k.r) of k = m_1 b_1 + m_2 b_2 + m_3 b_3 is a
product of three factors, one for each m. Structure factors of all waves are then products of
matrices, and sines are needed of N (n_1 + n_2 + n_3) numbers only, not of N n_1 n_2 n_3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Whole waves along each lattice vector, in either direction.
Waves = tuple[int, int, int]
# Multiples of each reciprocal lattice vector to sum over, (M_1,), (M_2,) and (M_3,). Those of the
# first have one sign, as the waves of k and -k count as one.
Multiples = tuple[Tensor, Tensor, Tensor]


def waves_within(cell: Tensor, longest: float) -> Waves:
    """How many waves along each lattice vector are needed for all with |k| up to ``longest``.

    As m_i = k.a_i / (2 pi), |m_i| is at most |k| |a_i| / (2 pi).

    Parameters
    ----------
    cell : Tensor, shape (B, 3, 3), Å
        The most that any of the cells needs is given.
    longest : float, 1/Å
    """
    lengths = cell.norm(dim=2).amax(dim=0).tolist()
    first, second, third = (math.floor(longest * length / (2.0 * math.pi)) for length in lengths)
    return first, second, third


def multiples(waves: Waves, like: Tensor) -> Multiples:
    """The multiples of so many waves, with the dtype and device of a tensor."""
    first, second, third = (
        torch.arange(-n if axis else 0, n + 1, dtype=like.dtype, device=like.device)
        for axis, n in enumerate(waves)
    )
    return first, second, third


def potentials(
    charges: Tensor, positions: Tensor, batch: Tensor, cell: Tensor, length: float, steps: Multiples
) -> Tensor:
    """Electrostatic potential (N,) in e/Å of all charges and their images, at each of the charges.

    The interaction is erf(d / s) / d, its Fourier transform 4 pi exp(-k^2 s^2 / 4) / k^2. That of a
    charge with itself is taken off, and a uniform background neutralises cells with a net charge.

    Parameters
    ----------
    charges : Tensor, shape (N,), e
    positions : Tensor, shape (N, 3), Å
    batch : Tensor, shape (N,), int64
        The structure that each charge belongs to.
    cell : Tensor, shape (B, 3, 3), Å
        A structure whose cell has no volume gets no sum.
    length : float
        s, in Å.
    steps : tuple of Tensor, shapes (M_1,), (M_2,), (M_3,)
        As :func:`multiples` makes them.
    """
    volume = volumes(cell)
    full = volume > 0.0
    # No gradient of a singular matrix, whose sum is not wanted.
    unit = torch.eye(3, dtype=cell.dtype, device=cell.device)
    cell = torch.where(full[:, None, None], cell, unit)
    volume = torch.where(full, volume, 1.0)
    inverse = _inverse(cell)
    fractions = (positions[:, None] @ inverse[batch])[:, 0]
    (cos_1, sin_1), (cos_2, sin_2), (cos_3, sin_3) = (
        _phases(fractions[:, axis], along) for axis, along in enumerate(steps)
    )
    # The plane of the second and third factor, (N, M_2 M_3).
    real = _outer(cos_2, cos_3) - _outer(sin_2, sin_3)
    imaginary = _outer(sin_2, cos_3) + _outer(cos_2, sin_3)
    weights = _weights(inverse, volume, length, steps) * full[:, None, None]
    structures = torch.arange(cell.shape[0], device=batch.device)
    own = (batch[:, None] == structures).to(charges.dtype)
    # Charges times the first factor (B M_1, N), and structure factors (B M_1, M_2 M_3).
    by_structure = (own * charges[:, None])[:, :, None]
    left_cos = (by_structure * cos_1[:, None]).flatten(1).T
    left_sin = (by_structure * sin_1[:, None]).flatten(1).T
    shape = weights.shape
    factor_real = (left_cos @ real - left_sin @ imaginary).view(shape) * weights
    factor_imaginary = (left_sin @ real + left_cos @ imaginary).view(shape) * weights
    # Back at the charges, cos(k.r) Re S + sin(k.r) Im S; only the first factor is left (N, M_1).
    plane_cos = _at(real, factor_real, own) + _at(imaginary, factor_imaginary, own)
    plane_sin = _at(real, factor_imaginary, own) - _at(imaginary, factor_real, own)
    summed = (cos_1 * plane_cos + sin_1 * plane_sin).sum(dim=1)
    net = own.T @ charges
    background = (math.pi * length**2 * net / volume * full)[batch]
    return summed - 2.0 / (math.sqrt(math.pi) * length) * charges - background


def volumes(cell: Tensor) -> Tensor:
    """Volumes (B,) in Å^3 of cells (B, 3, 3)."""
    return torch.linalg.cross(cell[:, 0], cell[:, 1]).mul(cell[:, 2]).sum(dim=1).abs()


def _phases(fractions: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (N, M) of 2 pi m, m (M,), times fractional coordinates (N,)."""
    # Whole turns are taken off first: angles of atoms far outside of the cell would lose digits.
    turns = fractions - fractions.detach().round()
    angles = 2.0 * math.pi * turns[:, None] * steps
    return angles.cos(), angles.sin()


def _outer(first: Tensor, second: Tensor) -> Tensor:
    """Row by row products (N, M_2 M_3) of (N, M_2) and (N, M_3)."""
    return (first[:, :, None] * second[:, None, :]).flatten(1)


def _at(plane: Tensor, factors: Tensor, own: Tensor) -> Tensor:
    """Sum over the plane (N, M_2 M_3) of the factors (B, M_1, M_2 M_3) of each atom's structure."""
    structures, steps, _ = factors.shape
    sums = (plane @ factors.flatten(0, 1).T).view(-1, structures, steps)
    return (sums * own[:, :, None]).sum(dim=1)


def _weights(inverse: Tensor, volume: Tensor, length: float, steps: Multiples) -> Tensor:
    """Weights 4 pi exp(-k^2 s^2 / 4) / (k^2 V) of waves (B, M_1, M_2 M_3), of k and -k at once."""
    first, second, third = steps
    axes = 2.0 * math.pi * inverse.mT
    part_1 = first[:, None] * axes[:, None, 0]
    part_2 = second[:, None] * axes[:, None, 1]
    part_3 = third[:, None] * axes[:, None, 2]
    vectors = part_1[:, :, None, None] + part_2[:, None, :, None] + part_3[:, None, None, :]
    squared = (vectors * vectors).sum(dim=4).flatten(2)
    there = squared > 0.0
    safe = torch.where(there, squared, 1.0)
    values = torch.where(there, torch.exp(-0.25 * length**2 * safe) / safe, 0.0)
    count = torch.where(first > 0, 2.0, 1.0)
    return 4.0 * math.pi * values * count[:, None] / volume[:, None, None]


def _inverse(cell: Tensor) -> Tensor:
    """Inverses (B, 3, 3), by cross products: a general one waits for a GPU to factorize."""
    first, second, third = cell.unbind(1)
    columns = (
        torch.linalg.cross(second, third),
        torch.linalg.cross(third, first),
        torch.linalg.cross(first, second),
    )
    determinant = (first * columns[0]).sum(dim=1)
    return torch.stack(columns, dim=2) / determinant[:, None, None]
