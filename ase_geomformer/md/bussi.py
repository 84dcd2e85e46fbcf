"""Stochastic velocity rescaling with constraints."""

from __future__ import annotations

from typing import Any

from ase import Atoms
from ase.md.bussi import Bussi

from ase_geomformer.md.constraints.manifold import Manifold
from ase_geomformer.md.constraints.motion import ConstrainedMotion


class ConstrainedBussi(ConstrainedMotion, Bussi):
    """ASE's thermostat of Bussi, Donadio and Parrinello with RATTLE.

    Scaled momenta satisfy the constraints that the momenta before satisfied.

    Parameters
    ----------
    manifold : Manifold
    atoms : ase.Atoms
    *args, **kwargs
        As of ASE's integrator.
    """

    def __init__(self, manifold: Manifold, atoms: Atoms, *args: Any, **kwargs: Any) -> None:
        self.manifold = manifold
        # ASE counts degrees of freedom here, which some of its constraints refuse to tell.
        kept = atoms.constraints
        atoms.set_constraint()
        super().__init__(atoms, *args, **kwargs)
        atoms.set_constraint(kept)

    def step(self, forces: Any = None) -> None:
        """Make one time step."""
        before = self.atoms.get_kinetic_energy()
        alpha = self.calculate_alpha(before)
        self.set_momenta(alpha * self.atoms.get_momenta())
        self.transferred_energy += (alpha**2 - 1.0) * before
        self.kick(0.5 * self.dt)
        self.drift(self.dt)
        self.kick(0.5 * self.dt)
