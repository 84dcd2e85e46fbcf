"""Limits of the checks and step sizes, by the dtype of the calculator.

Rounding sets the scale. A float32 network gives atomic energies to about 1e-6 eV and forces to
1e-5 ... 1e-4 eV/Å; a float64 one to 1e-14 and 1e-13. Each limit leaves a factor of ten to a hundred
above what exact symmetry or an exact gradient leaves behind, and lies far below what a wrong sign,
a missed neighbour or a jump at the cutoff would show.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Maximum values that pass, and steps of finite differences.

    Attributes
    ----------
    step
        Displacement for differences of energies, Å: their rounding is divided by it, their
        truncation goes with its fourth power.
    strain
        Strain for differences of energies.
    energy
        Difference of energies that should be equal, eV/atom.
    forces
        Difference of forces that should be equal, eV/Å.
    stress
        Difference of stresses that should be equal, eV/Å^3.
    slope_forces
        Forces against differences of energies, eV/Å.
    slope_stress
        Stress against differences of energies, eV/Å^3.
    path
        Energy along a path against the work of the forces, eV.
    conservation
        Change of the total energy that no shorter time step would take away, meV/atom.
    drift
        Slope of the total energy in a run of a fifth of a picosecond, meV/atom/ps; the time step's
        own fluctuation is part of it.
    """

    step: float
    strain: float
    energy: float
    forces: float
    stress: float
    slope_forces: float
    slope_stress: float
    path: float
    conservation: float
    drift: float


LIMITS = {
    "float32": Limits(
        step=1e-2,
        strain=3e-3,
        energy=1e-5,
        forces=1e-3,
        stress=1e-5,
        slope_forces=1e-2,
        slope_stress=1e-4,
        path=2e-4,
        conservation=0.1,
        drift=10.0,
    ),
    "float64": Limits(
        step=1e-3,
        strain=3e-4,
        energy=1e-9,
        forces=1e-8,
        stress=1e-9,
        slope_forces=1e-5,
        slope_stress=1e-7,
        path=1e-5,
        conservation=0.05,
        drift=10.0,
    ),
}
