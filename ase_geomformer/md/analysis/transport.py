"""Viscosity and ionic conductivity from fluctuations at equilibrium (Green-Kubo)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from ase import units
from ase.data import chemical_symbols

from ase_geomformer.md.analysis.correlation import autocorrelation
from ase_geomformer.md.analysis.diffusion import MSD
from ase_geomformer.md.analysis.frames import Frames

# One eV fs/Å^3 in mPa s.
_MILLIPASCAL_SECONDS = units._e * 1e30 * 1e-15 * 1e3
# One e^2/(Å eV fs) and one e^2/(Å eV ps) in S/m.
_SIEMENS_PER_METRE = units._e * 1e10 * 1e15
_SIEMENS_PER_METRE_PS = units._e * 1e10 * 1e12
# Fewer rows have no spectrum that a model could be fitted to.
_FEWEST = 200
# Share of the sequences up to whose length correlations are shown.
_SHOWN = 30


@dataclass(frozen=True, eq=False)
class GreenKubo:
    """A transport coefficient as the time integral of an autocorrelation.

    Attributes
    ----------
    value, error : float
        In ``unit``; the error is a standard error.
    unit : str
    time_ps : array (L,)
    running : array (L,)
        The integral up to each time, mean of all components.
    spread : array (L,)
        Its standard error, from the scatter of the components.
    """

    value: float
    error: float
    unit: str
    time_ps: np.ndarray
    running: np.ndarray
    spread: np.ndarray


def check_installed() -> None:
    """Refuse Green-Kubo integrals where the library for them is missing.

    Raises
    ------
    ImportError
    """
    if find_spec("stacie") is None:
        raise ImportError(
            "integrals of autocorrelations need stacie: pip install 'ase-geomformer[transport]'"
        )


def integrate(
    sequences: np.ndarray,
    interval_fs: float,
    factor: float,
    unit: str,
) -> GreenKubo:
    """The integral of an autocorrelation, from the low end of its spectrum.

    Where a running integral is cut off is a matter of taste. STACIE (G. Toraman, T. Verstraelen
    et al., J. Chem. Inf. Model. 65 (2025)) fits a model to the spectrum at low frequencies, over
    many ranges, and gives the value at zero with its error. The model here is a smooth function,
    exp(a + b f^2), of as narrow a range as the spectrum asks for. A Lorentzian is not taken:
    liquids have more than one correlation time, and in a wide range it settles for the shortest,
    so that the viscosity of a Lennard-Jones liquid at its triple point came out a quarter too
    small, with an error of 4 %.

    Parameters
    ----------
    sequences : array (M, T)
        Independent components with the same autocorrelation.
    interval_fs : float
    factor : float
        What the integral over time in fs is multiplied with.
    unit : str

    Raises
    ------
    ImportError
        If stacie is not installed.
    ValueError
        If the sequences are too short.
    """
    check_installed()
    from stacie import compute_spectrum, estimate_acint
    from stacie.model import ExpPolyModel

    if sequences.shape[1] < _FEWEST:
        raise ValueError(f"{sequences.shape[1]} rows are too few for an integral, give {_FEWEST}")
    spectrum = compute_spectrum(sequences, prefactors=factor, timestep=interval_fs)
    found = estimate_acint(spectrum, ExpPolyModel([0, 2]))
    lags = sequences.shape[1] // _SHOWN
    correlations = np.array([autocorrelation(one)[:lags] for one in sequences])
    trapezoids = 0.5 * (correlations[:, 1:] + correlations[:, :-1]) * interval_fs * factor
    running = np.concatenate([np.zeros((len(sequences), 1)), trapezoids.cumsum(axis=1)], axis=1)
    return GreenKubo(
        value=float(found.acint),
        error=float(found.acint_std),
        unit=unit,
        time_ps=np.arange(lags) * interval_fs / 1000.0,
        running=running.mean(axis=0),
        spread=running.std(axis=0, ddof=1) / np.sqrt(len(sequences)),
    )


def viscosity(
    pressure_GPa: np.ndarray, volume_A3: float, temperature_K: float, interval_fs: float
) -> GreenKubo:
    """Shear viscosity in mPa s of a liquid, V/kT times the integral of <P(0) P(t)>.

    The five independent components of the traceless pressure are used (P. J. Daivis, D. J. Evans,
    J. Chem. Phys. 100, 541 (1994)).

    Parameters
    ----------
    pressure_GPa : array (T, 6)
        xx, yy, zz, yz, xz, xy, equally spaced, from a run at constant volume.
    volume_A3, temperature_K, interval_fs : float
    """
    xx, yy, zz, yz, xz, xy = np.asarray(pressure_GPa, dtype=np.float64).T * units.GPa
    parts = [yz, xz, xy, 0.5 * (xx - yy), (2.0 * zz - xx - yy) / np.sqrt(12.0)]
    factor = volume_A3 / (units.kB * temperature_K) * _MILLIPASCAL_SECONDS
    return integrate(np.array(parts), interval_fs, factor, "mPa s")


def conductivity(frames: Frames, charges: Mapping[str, float], temperature_K: float) -> GreenKubo:
    """Ionic conductivity in S/m, 1/(3 V kT) times the integral of <J(0) J(t)>, J = sum q v.

    Parameters
    ----------
    frames : Frames
        Spaced by no more than some fs, of a crystal or liquid at constant volume.
    charges : mapping
        Charge in e of an atom of each element, such as {"Na": 1, "Cl": -1}.
    temperature_K : float

    Raises
    ------
    ValueError
        If an element has no charge, or there is no volume.
    """
    carried = _charges(frames, charges)
    current = np.einsum("n,tnc->ct", carried, frames.velocities)
    # A drift of the whole carries no current of a neutral cell.
    drift = np.einsum("n,tnc->ct", frames.masses / frames.masses.sum(), frames.velocities)
    current -= carried.sum() * drift
    factor = 1.0 / (_volume(frames) * units.kB * temperature_K) * _SIEMENS_PER_METRE
    return integrate(current, frames.interval_fs, factor, "S/m")


def nernst_einstein(
    frames: Frames,
    charges: Mapping[str, float],
    temperature_K: float,
    diffusion: Mapping[str, MSD],
) -> tuple[float, float]:
    """Conductivity in S/m, with its error, of ions that move independently: sum N q^2 D / (V kT).

    Parameters
    ----------
    frames, charges, temperature_K
        As in :func:`conductivity`.
    diffusion : mapping of str to MSD
        Of each element.
    """
    carried = _charges(frames, charges)
    total, variance = 0.0, 0.0
    for symbol, found in diffusion.items():
        squares = float((carried[frames.select(symbol)] ** 2).sum())
        total += squares * found.diffusion_A2_per_ps
        variance += (squares * found.error_A2_per_ps) ** 2
    factor = _SIEMENS_PER_METRE_PS / (_volume(frames) * units.kB * temperature_K)
    return factor * total, factor * float(np.sqrt(variance))


def check_charges(numbers: np.ndarray, charges: Mapping[str, float]) -> None:
    """Refuse charges that leave out an element or name a strange one.

    Raises
    ------
    ValueError
    """
    present = {chemical_symbols[number] for number in np.unique(numbers)}
    if present != set(charges):
        raise ValueError(
            f"charges are of {', '.join(sorted(charges)) or 'no element'}, and the trajectory has "
            f"{', '.join(sorted(present))}; give one for each element"
        )


def _charges(frames: Frames, charges: Mapping[str, float]) -> np.ndarray:
    check_charges(frames.numbers, charges)
    return np.array([charges[chemical_symbols[number]] for number in frames.numbers], dtype=float)


def _volume(frames: Frames) -> float:
    if not frames.pbc.all():
        raise ValueError("a conductivity needs a structure periodic in three directions")
    return float(np.abs(np.linalg.det(frames.cells)).mean())
