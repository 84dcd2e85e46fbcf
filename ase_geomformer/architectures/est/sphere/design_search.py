"""Search for antipodal spherical t-designs: point sets that integrate with equal weights.

Delsarte, Goethals, Seidel, Geom. Dedicata 6, 363 (1977). The points +-p_s, s = 1..M, are a design
of the odd degree t if sum_s Y_lm(p_s) = 0 for all even l from 2 to t - 1; odd degrees vanish by
symmetry. That is about t^2 / 2 equations, which R. Womersley's counts of points leave just
solvable (in: Contemporary Computational Mathematics, Springer 2018, p. 1243).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ATTEMPTS = 20
MAX_STEPS = 300
JITTER = 0.3  # of the spacing of the points, which breaks the symmetry of the lattice
MOST_DAMPING = 1e6  # more of it moves nothing: a local minimum
NEARLY = 1e-10  # of the largest mean of a harmonic; Newton's method squares it in a step
FLAT = 1e-8  # of the steepest direction: flatter ones lead from design to design


def design_size(degree: int) -> int:
    """Number of points of the antipodal designs of an odd degree: 2 ceil((t^2 + t + 4) / 4).

    There is none with that number at degrees 7 and 11, which need two more.
    """
    return 2 * math.ceil((degree**2 + degree + 4) / 4) + 2 * (degree in (7, 11))


def find_design(degree: int) -> NDArray[np.float64]:
    """Search for the M = :func:`design_size` / 2 points that make a design with their antipodes.

    Damped Gauss-Newton (Levenberg-Marquardt) steps on the means of the harmonics, from the upper
    half of a Fibonacci lattice whose points are moved a little at random; another attempt where
    they end in a local minimum. The same degree gives the same points.

    Parameters
    ----------
    degree : int
        Odd degree t.

    Returns
    -------
    array (M, 2)
        Polar angle and azimuth of the points.

    Raises
    ------
    RuntimeError
        If no attempt converges.
    """
    lattice = _half_lattice(design_size(degree))
    for attempt in range(ATTEMPTS):
        noise = np.random.default_rng(attempt).normal(size=lattice.shape)
        angles = _descend(_moved(lattice, JITTER / math.sqrt(len(lattice)) * noise), degree)
        if angles is not None:
            return angles
    raise RuntimeError(f"no design of degree {degree} found in {ATTEMPTS} attempts")


def _descend(angles: NDArray[np.float64], degree: int) -> NDArray[np.float64] | None:
    """The design that damped steps from these angles lead to, or None for a local minimum."""
    means, slopes = _means_and_slopes(angles, degree)
    damping = 1.0
    for _ in range(MAX_STEPS):
        error = float(means @ means)
        if np.abs(means).max() < NEARLY:
            return _polished(angles, degree)
        if damping > MOST_DAMPING:
            break
        normal = slopes @ slopes.T
        normal[np.diag_indices_from(normal)] += damping * error
        trial = _moved(angles, -slopes.T @ np.linalg.solve(normal, means))
        trial_means, trial_slopes = _means_and_slopes(trial, degree)
        if trial_means @ trial_means < error:
            angles, means, slopes = trial, trial_means, trial_slopes
            damping = max(damping / 4.0, 1e-6)
        else:
            damping *= 8.0
    return None


def _polished(angles: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    """Two undamped steps, which take the means to rounding.

    Not along directions in which nothing changes: designs of degree 5 form families, along which
    rounding alone would lead.
    """
    for _ in range(2):
        means, slopes = _means_and_slopes(angles, degree)
        angles = _moved(angles, -np.linalg.lstsq(slopes, means, rcond=FLAT)[0])
    return angles


def harmonic_means(points: NDArray[np.float64], highest: int) -> NDArray[np.float64]:
    """How far points (S, 3) with equal weights are from exact, per degree l = 1..highest.

    The length of the vector of the 2l+1 means of Y_lm over the points, which does not depend on
    the axes: zero to rounding, below 1e-14, where a degree is integrated exactly.
    """
    from scipy.special import sph_harm_y_all

    x, y, z = points.T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    means = sph_harm_y_all(highest, highest, polar, azimuth).mean(axis=-1)
    lengths = [
        np.linalg.norm(_real(means[l, : l + 1], np.arange(l + 1))) for l in range(1, highest + 1)
    ]
    return np.array(lengths)


def to_points(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Polar angles and azimuths (M, 2) to unit vectors and their antipodes (2 M, 3)."""
    polar, azimuth = angles.T
    sines = np.sin(polar)
    half = np.stack([sines * np.cos(azimuth), sines * np.sin(azimuth), np.cos(polar)], axis=1)
    return np.concatenate([half, -half])


def _half_lattice(num_points: int) -> NDArray[np.float64]:
    """Angles of the upper half of a Fibonacci lattice."""
    index = np.arange(num_points // 2, dtype=np.float64)
    polar = np.arccos(1.0 - (2.0 * index + 1.0) / num_points)
    return np.stack([polar, index * np.pi * (3.0 - np.sqrt(5.0))], axis=1)


def _means_and_slopes(
    angles: NDArray[np.float64], degree: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means (K,) of the even harmonics, and their slopes (K, 2 M) along the tangents."""
    from scipy.special import sph_harm_y_all

    polar, azimuth = angles.T
    values, slopes = sph_harm_y_all(degree - 1, degree - 1, polar, azimuth, diff_n=1)
    slopes[..., 1] /= np.sin(polar)
    degrees, orders = np.array([(l, m) for l in range(2, degree, 2) for m in range(l + 1)]).T
    means = _real(values[degrees, orders].mean(axis=-1), orders)
    tangents = slopes[degrees, orders].reshape(len(orders), -1) / len(angles)
    return means, _real(tangents, orders)


def _real(values: NDArray[np.complex128], orders: NDArray[np.int64]) -> NDArray[np.float64]:
    """Complex harmonics of orders m >= 0 to the real ones of orders -m and m."""
    factors = np.where(orders == 0, 1.0, np.sqrt(2.0)).reshape(-1, *[1] * (values.ndim - 1))
    return np.concatenate([values.real * factors, (values.imag * factors)[orders > 0]])


def _moved(angles: NDArray[np.float64], step: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Angles after a step (M, 2) along the tangents of growing polar angle and azimuth."""
    step = step.reshape(-1, 2)
    polar, azimuth = angles.T
    sines, cosines = np.sin(polar), np.cos(polar)
    radial = np.stack([sines * np.cos(azimuth), sines * np.sin(azimuth), cosines], axis=1)
    south = np.stack([cosines * np.cos(azimuth), cosines * np.sin(azimuth), -sines], axis=1)
    east = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=1)
    moved = radial + step[:, :1] * south + step[:, 1:] * east
    x, y, z = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).T
    return np.stack([np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)], axis=1)
