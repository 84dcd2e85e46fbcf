"""Mean square displacements and diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import units

from ase_geomformer.md.analysis.frames import Frames
from ase_geomformer.runs.style import BLUE, COLUMN, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The slope is taken where motion is no longer ballistic and the statistics are still good.
_FIT = (0.2, 0.6)
# Constant of the lattice sum of a simple cubic lattice.
_CUBIC = 2.837297
# One Å^2/ps.
_SQUARE_METRES_PER_SECOND = 1e-8


@dataclass(frozen=True, eq=False)
class MSD:
    """Mean square displacement.

    Attributes
    ----------
    time_ps : array (L,)
    msd : array (L,), Å^2
        Averaged over atoms and origins.
    diffusion_A2_per_ps : float
        Diffusion coefficient, the slope of msd over twice the dimension (Einstein 1905); 1 Å^2/ps
        is 1e-4 cm^2/s. In a finite periodic cell it is too low by about what
        :func:`finite_size_correction` gives.
    error_A2_per_ps : float
        Its standard error, from the spread of parts of the trajectory.
    dimension : int
        Number of directions that displacements were taken in.
    """

    time_ps: np.ndarray
    msd: np.ndarray
    diffusion_A2_per_ps: float
    error_A2_per_ps: float
    dimension: int = 3

    @drawing
    def plot(self) -> Figure:
        """The displacement against time, as a figure apart from pyplot's."""
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        found = f"D = {self.diffusion_A2_per_ps:.3g} ± {self.error_A2_per_ps:.1g} Å²/ps"
        axes.plot(self.time_ps, self.msd, color=BLUE, label=found)
        axes.set_xlabel("time (ps)")
        axes.set_ylabel("mean square displacement (Å²)")
        axes.legend(frameon=False)
        dress(axes)
        return figure


def mean_square_displacement(
    frames: Frames,
    element: str | None = None,
    *,
    parts: int = 5,
    remove_drift: bool = True,
    directions: str | None = None,
    unwrap: bool = True,
) -> MSD:
    """Mean square displacement and diffusion coefficient of the atoms of an element.

    Parameters
    ----------
    frames : Frames
        At fixed volume.
    element : str, optional
        All atoms when left out.
    parts : int
        Pieces of the trajectory, each of which gives a diffusion coefficient; lags go to half
        the length of one.
    remove_drift : bool
        Take displacements relative to the centre of mass of all atoms.
    directions : str, optional
        Cartesian directions to take displacements in, such as "xy". By default those along the
        periodic cell vectors: across a slab or a wire atoms cannot diffuse. All three without
        periodic boundaries.
    unwrap : bool
        Follow atoms that were wrapped into the cell; see
        :meth:`~ase_geomformer.md.analysis.Frames.unwrapped`.

    Raises
    ------
    ValueError
        If there is no such element or direction, or the trajectory is too short for so many parts.
    """
    if parts < 2 or len(frames) // parts < 10:
        raise ValueError(
            f"{len(frames)} frames cannot be taken in {parts} parts: two parts at least, of ten "
            "frames at least, are needed"
        )
    axes = _axes(frames, directions)
    positions = (frames.unwrapped() if unwrap else frames).positions
    if remove_drift:
        weights = frames.masses / frames.masses.sum()
        positions = positions - np.einsum("n,tnc->tc", weights, positions)[:, None]
    positions = positions[:, frames.select(element)] @ axes
    length = len(frames) // parts
    lags = length // 2
    time_ps = np.arange(lags) * frames.interval_fs / 1000.0
    pieces = [
        _msd(positions[start : start + length])[:lags] for start in range(0, parts * length, length)
    ]
    fitted = slice(int(_FIT[0] * lags), max(int(_FIT[1] * lags), int(_FIT[0] * lags) + 2))
    dimension = axes.shape[1]
    slopes = np.array([np.polyfit(time_ps[fitted], piece[fitted], 1)[0] for piece in pieces])
    return MSD(
        time_ps,
        np.mean(pieces, axis=0),
        float(slopes.mean() / (2.0 * dimension)),
        float(slopes.std(ddof=1) / np.sqrt(parts) / (2.0 * dimension)),
        dimension,
    )


def finite_size_correction(temperature_K: float, viscosity_mPa_s: float, side_A: float) -> float:
    """What is to be added to the diffusion coefficient of a liquid in a cubic cell, Å^2/ps.

    2.837297 kT / (6 pi eta L): hydrodynamic interaction with the periodic images (I.-C. Yeh, G.
    Hummer, J. Phys. Chem. B 108, 15873 (2004)).

    Parameters
    ----------
    temperature_K : float
    viscosity_mPa_s : float
        Shear viscosity, which does not depend on the size of the cell.
    side_A : float
        Of the cubic cell.

    Raises
    ------
    ValueError
        If a number is not positive.
    """
    given = {
        "temperature_K": temperature_K, "viscosity_mPa_s": viscosity_mPa_s, "side_A": side_A
    }  # fmt: skip
    for name, value in given.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} = {value} must be positive")
    drag = 6.0 * np.pi * 1e-3 * viscosity_mPa_s * 1e-10 * side_A
    return float(_CUBIC * units._k * temperature_K / drag / _SQUARE_METRES_PER_SECOND)


def _axes(frames: Frames, directions: str | None) -> np.ndarray:
    """Orthonormal directions (3, d) that displacements are taken in."""
    if directions is None:
        if not frames.pbc.any() or frames.pbc.all():
            return np.eye(3)
        return np.linalg.qr(frames.cells[0][frames.pbc].T)[0]
    if not directions or set(directions) - set("xyz") or len(set(directions)) < len(directions):
        raise ValueError(f"directions = {directions!r} must be some of x, y and z, such as 'xy'")
    return np.eye(3)[:, ["xyz".index(name) for name in directions]]


def _msd(positions: np.ndarray) -> np.ndarray:
    """Mean square displacement (T,) over all origins, in the time of Fourier transforms.

    With S(m) the correlation of positions, msd(m) is the mean over origins of
    ``r(t)^2 + r(t+m)^2`` less 2 S(m) (Kneller et al., Comput. Phys. Commun. 91, 191 (1995)).
    """
    positions = positions - positions[0]  # keeps the digits of small displacements
    length, atoms = positions.shape[:2]
    spectrum = np.fft.rfft(positions, n=2 * length, axis=0)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * length, axis=0)[:length].sum((1, 2))
    squares = np.square(positions).sum(axis=(1, 2))
    ahead, behind = np.cumsum(squares)[::-1], np.cumsum(squares[::-1])[::-1]
    origins = length - np.arange(length)
    result: np.ndarray = (ahead + behind - 2.0 * correlation) / (origins * atoms)
    return result
