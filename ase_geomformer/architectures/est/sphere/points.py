"""Point sets on the sphere by name: directions, and weights that sum to 4 pi.

A rule of degree t integrates every polynomial of degree t in x, y, z over the sphere exactly; the
Fibonacci lattices are exact for none but the constants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from ase_geomformer.architectures.est.sphere.designs import t_design
from ase_geomformer.architectures.est.sphere.quadrature import PointSet
from ase_geomformer.machine.files import atomic_file

# Degrees of scipy's Lebedev rules, without 13, 25 and 27: some of their weights are negative.
# fmt: off
LEBEDEV_DEGREES = (
    3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 29, 31, 35, 41, 47, 53, 59, 65, 71, 77, 83, 89, 95, 101,
    107, 113, 119, 125, 131,
)
# fmt: on
# Degrees of the rules in the table beside this module, which ``python -m
# ase_geomformer.architectures.est.sphere.points`` writes.
LAST_TABULATED = 31
TABLE = "lebedev.npz"


def lebedev(degree: int) -> PointSet:
    """The smallest Lebedev rule of at least a degree, symmetric under the cube's 48 operations.

    Lebedev and Laikov, Doklady Mathematics 59, 477 (1999).
    """
    suitable = [available for available in LEBEDEV_DEGREES if available >= degree]
    if not suitable:
        raise ValueError(
            f"there is no Lebedev rule of degree {degree}, the highest is {LEBEDEV_DEGREES[-1]}: "
            "use the rule gauss_legendre"
        )
    points, weights = _lebedev(suitable[0])
    return PointSet(points.copy(), weights.copy(), suitable[0])


@lru_cache(maxsize=8)
def _lebedev(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (S, 3) and weights (S,), the common ones from a table: scipy takes half a second."""
    if degree > LAST_TABULATED:
        return lebedev_of_scipy(degree)
    with (
        resources.files(__package__).joinpath("data", TABLE).open("rb") as file,
        np.load(file, allow_pickle=False) as table,
    ):
        return table[f"points_{degree}"], table[f"weights_{degree}"]


def lebedev_of_scipy(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (S, 3) and weights (S,) of one of ``LEBEDEV_DEGREES``, as scipy has them."""
    from scipy.integrate import lebedev_rule

    points, weights = lebedev_rule(degree)
    return points.T.copy(), weights


def write_table(path: Path) -> None:
    """Write the rules up to ``LAST_TABULATED``."""
    arrays = {}
    for degree in (degree for degree in LEBEDEV_DEGREES if degree <= LAST_TABULATED):
        arrays[f"points_{degree}"], arrays[f"weights_{degree}"] = lebedev_of_scipy(degree)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def gauss_legendre(degree: int) -> PointSet:
    """Gauss-Legendre nodes in y times uniform azimuths about y; antipodal, of an odd degree."""
    rings = degree // 2 + 1
    azimuths = 2 * rings
    heights, ring_weights = leggauss(rings)
    angles = np.linspace(0.0, 2.0 * np.pi, azimuths, endpoint=False)
    everywhere = np.repeat(heights.astype(np.float64), azimuths)
    points = _about_y(everywhere, np.tile(angles, rings))
    weights = np.repeat(ring_weights * (2.0 * np.pi / azimuths), azimuths)
    return PointSet(points, weights, 2 * rings - 1)


def fibonacci_poles(num_points: int) -> PointSet:
    """Fibonacci lattice with both poles of the y axis, as in the released code of EST."""
    heights = 1.0 - 2.0 * np.arange(num_points) / (num_points - 1)
    return _fibonacci(heights)


def fibonacci_midpoint(num_points: int) -> PointSet:
    """Fibonacci lattice whose heights lie in the middle of equal slices, without poles."""
    heights = 1.0 - (2.0 * np.arange(num_points) + 1.0) / num_points
    return _fibonacci(heights)


def lattice_size(degree: int) -> int:
    """Points of a lattice that stands for a degree: (t+1)(t+2), the published count at t = 2 L."""
    return (degree + 1) * (degree + 2)


POINT_RULES: dict[str, Callable[[int], PointSet]] = {
    "lebedev": lebedev,
    "t_design": t_design,
    "gauss_legendre": gauss_legendre,
    "fibonacci_poles": lambda degree: fibonacci_poles(lattice_size(degree)),
    "fibonacci_midpoint": lambda degree: fibonacci_midpoint(lattice_size(degree)),
}


def point_set(rule: str, degree: int) -> PointSet:
    """Points and weights of a rule of at least a degree.

    Parameters
    ----------
    rule : str
        One of ``POINT_RULES``. The lattices ``fibonacci_poles`` and ``fibonacci_midpoint`` have
        :func:`lattice_size` points and are not exact.
    degree : int
        Degree of the polynomials to integrate exactly.

    Raises
    ------
    ValueError
        If the rule is unknown or has no such degree.
    """
    if rule not in POINT_RULES:
        raise ValueError(f"unknown rule {rule!r} for points on the sphere: use {list(POINT_RULES)}")
    if degree < 1:
        raise ValueError(f"the degree of points on the sphere must be at least 1, not {degree}")
    return POINT_RULES[rule](degree)


def _fibonacci(heights: NDArray[np.float64]) -> PointSet:
    golden_angle = np.pi * (3.0 - np.sqrt(5.0))
    azimuths = golden_angle * np.arange(len(heights), dtype=np.float64)
    return PointSet.equally_weighted(_about_y(heights, azimuths), 0)


def _about_y(heights: NDArray[np.float64], azimuths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors (S, 3) by their y and their angle about it; y is the polar axis of e3nn."""
    radii = np.sqrt(np.maximum(0.0, 1.0 - heights**2))
    return np.stack([radii * np.cos(azimuths), heights, radii * np.sin(azimuths)], axis=1)


if __name__ == "__main__":
    write_table(Path(__file__).parent / "data" / TABLE)
