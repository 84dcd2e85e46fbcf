"""Langevin dynamics that keeps account of the heat it exchanges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ase_geomformer.md.constraints.manifold import Manifold
from ase_geomformer.md.constraints.motion import ConstrainedMotion

try:
    from ase.md.langevinbaoab import LangevinBAOAB
except ImportError as error:
    raise ImportError("nvt-langevin needs ASE 3.27 or newer; pip install -U ase") from error


class MeteredLangevin(LangevinBAOAB):
    """ASE's BAOAB integrator, with the heat taken from the bath so far.

    Total energy less heat is what exact integration would conserve; its drift measures the
    error of the time step and of the forces, as in constant-energy dynamics (Bussi and
    Parrinello, Phys. Rev. E 75, 056707 (2007)).

    Attributes
    ----------
    heat : float
        Kinetic energy in eV that the Ornstein-Uhlenbeck steps have added.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.heat = 0.0
        super().__init__(*args, **kwargs)

    def step(self) -> None:
        """Make one time step.

        ASE's own steps in a fixed cell, of velocities that become momenta only at the end. Turning
        them into each other in each of the steps took 0.05 ms, where compiled code evaluates
        ethanol in 0.7 ms.
        """
        atoms, masses, half = self.atoms, self.masses, 0.5 * self.dt
        velocities = atoms.get_momenta()
        velocities /= masses
        velocities += half * self.accel
        positions = atoms.arrays["positions"]
        positions += half * velocities
        if self.gamma:
            before = _kinetic(masses, velocities)
            velocities *= math.exp(-self.gamma * self.dt)
            noise = self.rng.normal(size=velocities.shape)
            noise *= self.BAOAB_prefactor / np.sqrt(masses)
            velocities += noise
            self.heat += _kinetic(masses, velocities) - before
        positions += half * velocities
        self.accel = atoms.get_forces() / masses
        velocities += half * self.accel
        velocities *= masses
        atoms.set_momenta(velocities)

    def _refresh_properties(self) -> None:
        """Forces are those of the present positions when a step ends."""
        if self.nsteps == 0:
            super()._refresh_properties()


def _kinetic(masses: np.ndarray, velocities: np.ndarray) -> float:
    """Kinetic energy in eV of velocities (N, 3) and masses (N, 1)."""
    weighted = masses * velocities
    return 0.5 * float(weighted.ravel().dot(velocities.ravel()))


class ConstrainedLangevin(ConstrainedMotion, MeteredLangevin):
    """The same along the surface of constraints: g-BAOAB.

    Forces and noise act on the momenta that the constraints allow, and the half steps of the
    positions stay on the surface (Leimkuhler and Matthews, Proc. R. Soc. A 472, 20160138 (2016)).

    Parameters
    ----------
    manifold : Manifold
    *args, **kwargs
        As of :class:`MeteredLangevin`.
    """

    def __init__(self, manifold: Manifold, *args: Any, **kwargs: Any) -> None:
        self.manifold = manifold
        super().__init__(*args, **kwargs)

    def step(self) -> None:
        """Make one time step."""
        self.kick(0.5 * self.dt)
        self.drift(0.5 * self.dt)
        self._BAOAB_OU()
        self.drift(0.5 * self.dt)
        self.kick(0.5 * self.dt)

    def _BAOAB_OU(self, drag_gamma_mod: float = 0.0) -> None:
        before = self.atoms.get_kinetic_energy()
        momenta = self.atoms.get_momenta() * np.exp(-self.gamma * self.dt)
        noise = self.rng.normal(size=momenta.shape) * np.sqrt(self.masses)
        momenta += self.BAOAB_prefactor * noise
        self.set_momenta(self.manifold.project(self.atoms.positions, momenta))
        self.heat += self.atoms.get_kinetic_energy() - before

    def _update_accel(self) -> None:
        """The constraints' forces are not among those that :meth:`kick` takes."""
