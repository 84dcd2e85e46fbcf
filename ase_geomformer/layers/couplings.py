"""Coupling coefficients of real spherical harmonics."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=256)
def wigner_3j(first: int, second: int, third: int) -> Tensor:
    """Wigner 3j symbols (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) in the basis of real harmonics, float64.

    The tensor of unit norm that stays the same when all three axes turn, in the order of
    components of :class:`~ase_geomformer.layers.harmonics.SphericalHarmonics`. Its sign, which is a
    convention, is that of e3nn: the real basis is i^l times the usual one, so that couplings of an
    odd sum of degrees are real, too.
    """
    degrees = (first, second, third)
    coupling = torch.zeros([2 * l + 1 for l in degrees], dtype=torch.complex128)
    for m1 in range(-first, first + 1):
        for m2 in range(max(-second, -third - m1), min(second, third - m1) + 1):
            value = clebsch_gordan(first, m1, second, m2, third, m1 + m2)
            coupling[first + m1, second + m2, third + m1 + m2] = value
    to_real = [_real_basis(l) for l in degrees]
    real = torch.einsum("ia,jb,kc,ijk->abc", to_real[0], to_real[1], to_real[2].conj(), coupling)
    return real.real / real.real.norm()


def clebsch_gordan(l1: int, m1: int, l2: int, m2: int, l3: int, m3: int) -> float:
    """<l1 m1 l2 m2 | l3 m3> by Racah's formula, Phys. Rev. 62, 438 (1942), eq. (16)."""
    if m1 + m2 != m3 or not abs(l1 - l2) <= l3 <= l1 + l2:
        return 0.0
    f = math.factorial
    triangle = f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(l2 - l1 + l3) / f(l1 + l2 + l3 + 1)
    orders = math.prod(f(l + m) * f(l - m) for l, m in ((l1, m1), (l2, m2), (l3, m3)))
    lowest = max(0, l2 - l3 - m1, l1 - l3 + m2)
    highest = min(l1 + l2 - l3, l1 - m1, l2 + m2)
    total = sum(
        (-1) ** k
        / (f(k) * f(l1 + l2 - l3 - k) * f(l1 - m1 - k) * f(l2 + m2 - k))
        / (f(l3 - l2 + m1 + k) * f(l3 - l1 - m2 + k))
        for k in range(lowest, highest + 1)
    )
    return math.sqrt((2 * l3 + 1) * triangle * orders) * total


def _real_basis(degree: int) -> Tensor:
    """Columns: real harmonics m = -l .. l; rows: complex ones with the Condon-Shortley sign."""
    half = math.sqrt(0.5)
    matrix = torch.zeros(2 * degree + 1, 2 * degree + 1, dtype=torch.complex128)
    matrix[degree, degree] = 1.0
    for m in range(1, degree + 1):
        above, below = degree + m, degree - m
        sign = (-1) ** m
        matrix[above, above], matrix[below, above] = sign * half, half
        matrix.imag[above, below], matrix.imag[below, below] = sign * half, -half
    return (-1j) ** degree * matrix
