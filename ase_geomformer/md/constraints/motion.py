"""The two moves of constrained dynamics, of which the integrators are made."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.md.md import MolecularDynamics

from ase_geomformer.md.constraints.manifold import DEGENERATE, Manifold, NotHeld


def driving_forces(atoms: Atoms) -> np.ndarray:
    """Forces (N, 3) in eV/Å of the potential and of constraints that are terms of the energy."""
    forces = np.asarray(atoms.get_forces(apply_constraint=False))
    for constraint in atoms.constraints:
        if hasattr(constraint, "adjust_potential_energy"):
            constraint.adjust_forces(atoms, forces)
    return forces


class ConstrainedMotion(MolecularDynamics):
    """What integrators of constrained dynamics share.

    ASE's own changes of positions and momenta go through each constraint by itself, which holds
    neither constraints that share atoms nor those whose projection is not that of the masses; so
    none of them is used here.

    Attributes
    ----------
    manifold : Manifold
    """

    manifold: Manifold

    def kick(self, time: float) -> None:
        """Let the forces act for a time."""
        momenta = self.atoms.get_momenta() + time * driving_forces(self.atoms)
        self.set_momenta(self.manifold.project(self.atoms.positions, momenta))

    def drift(self, time: float) -> None:
        """Let the atoms move for a time; NotHeld if the constraints stop that."""
        atoms = self.atoms
        try:
            positions, momenta = self.manifold.move(atoms.positions, atoms.get_momenta(), time)
        except DEGENERATE as error:
            raise NotHeld(f"stopped in step {self.nsteps + 1}: {error}") from error
        atoms.set_positions(positions, apply_constraint=False)
        self.set_momenta(momenta)

    def set_momenta(self, momenta: np.ndarray) -> None:
        """Take momenta that the constraints allow."""
        self.atoms.set_momenta(momenta, apply_constraint=False)

    def _refresh_properties(self) -> None:
        # What ASE does before observers look, without its constraints.
        driving_forces(self.atoms)
