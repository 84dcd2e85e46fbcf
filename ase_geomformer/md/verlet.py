"""Constant-energy dynamics with constraints."""

from __future__ import annotations

from typing import Any

from ase.md.verlet import VelocityVerlet

from ase_geomformer.md.constraints.manifold import Manifold
from ase_geomformer.md.constraints.motion import ConstrainedMotion


class ConstrainedVerlet(ConstrainedMotion, VelocityVerlet):
    """Velocity Verlet along the surface of the constraints, which is RATTLE.

    Parameters
    ----------
    manifold : Manifold
    *args, **kwargs
        As of ASE's integrator.
    """

    def __init__(self, manifold: Manifold, *args: Any, **kwargs: Any) -> None:
        self.manifold = manifold
        super().__init__(*args, **kwargs)

    def step(self, forces: Any = None) -> None:
        """Make one time step."""
        self.kick(0.5 * self.dt)
        self.drift(self.dt)
        self.kick(0.5 * self.dt)
