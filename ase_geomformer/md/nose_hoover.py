"""The Nose-Hoover chain with constraints."""

from __future__ import annotations

from typing import Any

from ase.md.nose_hoover_chain import NoseHooverChainNVT

from ase_geomformer.md.constraints.manifold import Manifold
from ase_geomformer.md.constraints.motion import ConstrainedMotion


class ConstrainedNoseHoover(ConstrainedMotion, NoseHooverChainNVT):
    """ASE's chain around RATTLE, as the chain is around velocity Verlet without constraints.

    Parameters
    ----------
    manifold : Manifold
    *args, **kwargs
        As of ASE's integrator.
    """

    def __init__(self, manifold: Manifold, *args: Any, **kwargs: Any) -> None:
        self.manifold = manifold
        super().__init__(*args, **kwargs)

    def step(self) -> None:
        """Make one time step."""
        self._exchange(0.5 * self.dt)
        self.kick(0.5 * self.dt)
        self.drift(self.dt)
        self.kick(0.5 * self.dt)
        self._exchange(0.5 * self.dt)

    def _exchange(self, time: float) -> None:
        """Let the chain act for a time; it only scales the momenta."""
        self.set_momenta(self._thermostat.integrate_nhc(self.atoms.get_momenta(), time))
