"""Fits of energy against volume, with the uncertainties of what they give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from ase import eos, units

from ase_geomformer.recipes.equation_of_state.settings import EOSName

EQUATIONS: tuple[str, ...] = get_args(EOSName)
Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class EOSFit:
    """An equation of state that was fitted to energies.

    Attributes
    ----------
    equation : str
    volume_A3, energy_eV, bulk_modulus_GPa, bulk_modulus_derivative : float
        At the minimum: V0, E0, B and B' = dB/dP.
    volume_error_A3, energy_error_eV, bulk_modulus_error_GPa, bulk_modulus_derivative_error : float
        Standard errors of the least-squares fit: what the scatter about the curve leaves open,
        not what the potential has wrong.
    rms_residual_meV : float
    """

    equation: str
    volume_A3: float
    energy_eV: float
    bulk_modulus_GPa: float
    bulk_modulus_derivative: float
    volume_error_A3: float
    energy_error_eV: float
    bulk_modulus_error_GPa: float
    bulk_modulus_derivative_error: float
    rms_residual_meV: float


def fit(volumes: np.ndarray, energies: np.ndarray, equation: str) -> EOSFit:
    """Fit one of ASE's equations of state.

    The parameters are those that ASE finds. Standard errors come from the covariance of the
    parameters, s^2 (J^T J)^-1 with the Jacobian J of the curve and s^2 the mean square residual
    per degree of freedom.

    Raises
    ------
    ValueError
        If the energies have no minimum that the equation could find.
    """
    curve, parameters = _ase_fit(volumes, energies, equation)
    minimum = _minimum(curve, parameters, volumes)
    values = _properties(curve, parameters, minimum)
    residual = curve(volumes, parameters) - energies
    free = max(len(volumes) - len(parameters), 1)
    jacobian = _jacobian(lambda p: curve(volumes, p), parameters)
    # Columns of one length make the inverse exact to rounding.
    scale = np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.pinv((jacobian / scale).T @ (jacobian / scale)) / np.outer(scale, scale)
    covariance = inverse * float(residual @ residual) / free
    slopes = _jacobian(lambda p: _properties(curve, p, minimum), parameters)
    errors = np.sqrt(np.maximum(np.diag(slopes @ covariance @ slopes.T), 0.0))
    rms = 1000.0 * float(np.sqrt(np.mean(residual**2)))
    return EOSFit(
        equation=equation,
        volume_A3=float(values[0]),
        energy_eV=float(values[1]),
        bulk_modulus_GPa=float(values[2]),
        bulk_modulus_derivative=float(values[3]),
        volume_error_A3=float(errors[0]),
        energy_error_eV=float(errors[1]),
        bulk_modulus_error_GPa=float(errors[2]),
        bulk_modulus_derivative_error=float(errors[3]),
        rms_residual_meV=rms,
    )


def fit_all(volumes: np.ndarray, energies: np.ndarray) -> dict[str, EOSFit]:
    """The fits of all equations that succeed, by name."""
    found = {}
    for equation in EQUATIONS:
        try:
            found[equation] = fit(volumes, energies, equation)
        except ValueError:
            continue
    return found


def _ase_fit(volumes: np.ndarray, energies: np.ndarray, equation: str) -> tuple[Curve, np.ndarray]:
    """The curve that ASE fits, as a function of volumes and parameters, and its parameters."""
    shift = float(energies.min())  # keeps the digits of small differences
    found = eos.EquationOfState(volumes, energies - shift, eos=equation)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.fit(warn=False)
    except (RuntimeError, ValueError, np.linalg.LinAlgError) as error:
        raise ValueError(f"the equation {equation} cannot be fitted: {error}") from error
    if equation == "sj":
        polynomial = found.fit0

        def inverse_root(v: np.ndarray, p: np.ndarray) -> np.ndarray:
            return np.asarray(np.polyval(p, v ** (-1.0 / 3.0)) + shift)

        return inverse_root, np.array(polynomial.coefficients, dtype=float)

    def curve(v: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.asarray(found.func(v, *p) + shift)

    return curve, np.array(found.eos_parameters, dtype=float)


def _minimum(curve: Curve, parameters: np.ndarray, volumes: np.ndarray) -> float:
    """Volume of least energy within a little more than the range of the scan."""
    from scipy.optimize import minimize_scalar

    margin = 0.5 * float(np.ptp(volumes))
    low, high = float(volumes.min()) - margin, float(volumes.max()) + margin
    found = minimize_scalar(
        lambda v: float(curve(np.array(v), parameters)),
        bounds=(max(low, 1e-3), high),
        method="bounded",
        options={"xatol": 1e-9 * high},
    )
    volume = float(found.x)
    if not low + 1e-4 * margin < volume < high - 1e-4 * margin:
        raise ValueError("the energies have no minimum near the volumes of the scan")
    return volume


def _properties(curve: Curve, parameters: np.ndarray, near: float) -> np.ndarray:
    """V0, E0, B in GPa and B' of a curve whose minimum is near a volume.

    B = V E'' and B' = -1 - V E''' / E'' at the minimum, with derivatives of the curve's
    Chebyshev interpolant, which are exact to many digits for so smooth a function.
    """
    from numpy.polynomial import Chebyshev

    energy = Chebyshev.interpolate(
        lambda v: curve(np.asarray(v), parameters), 20, domain=[0.97 * near, 1.03 * near]
    )
    slope, curvature, third = energy.deriv(1), energy.deriv(2), energy.deriv(3)
    volume = near
    for _ in range(20):
        volume -= float(slope(volume) / curvature(volume))
    stiffness = float(curvature(volume))
    derivative = -1.0 - volume * float(third(volume)) / stiffness
    bulk = volume * stiffness / units.GPa
    return np.array([volume, float(energy(volume)), bulk, derivative])


def _jacobian(function: Callable[[np.ndarray], Any], point: np.ndarray) -> np.ndarray:
    """Derivatives by central differences (values, parameters)."""
    columns = []
    for number, value in enumerate(point):
        step = np.zeros_like(point)
        step[number] = 1e-5 * max(abs(value), 1e-3)
        difference = np.asarray(function(point + step)) - np.asarray(function(point - step))
        columns.append(difference / (2.0 * step[number]))
    return np.stack(columns, axis=1)


def curve_of(
    volumes: np.ndarray, energies: np.ndarray, equation: str
) -> Callable[[np.ndarray], np.ndarray]:
    """The fitted curve as a function of the volume."""
    curve, parameters = _ase_fit(volumes, energies, equation)
    return lambda volume: curve(volume, parameters)
