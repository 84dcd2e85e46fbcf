"""What ASE's integrators remember from step to step, beside the atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from ase.md.md import MolecularDynamics


@dataclass(frozen=True)
class IntegratorState:
    """The variables of a kind of integrator, by the path of their attributes."""

    variables: tuple[str, ...] = ()

    def save(self, dynamics: MolecularDynamics) -> dict[str, np.ndarray]:
        """Copies of the variables."""
        return {path: np.array(attrgetter(path)(dynamics)) for path in self.variables}

    def restore(self, dynamics: MolecularDynamics, saved: Mapping[str, np.ndarray]) -> None:
        """Set the variables to what :meth:`save` gave."""
        for path in self.variables:
            *owners, name = path.split(".")
            owner: Any = attrgetter(".".join(owners))(dynamics) if owners else dynamics
            value = saved[path]
            setattr(owner, name, value.copy() if value.ndim else value.item())


_CHAIN = ("_q", "_p", "_thermostat._eta", "_thermostat._p_eta")
_CELL_CHAIN = (*_CHAIN, "_barostat._xi", "_barostat._p_xi")

# By the name of the class, so that nothing is imported that is not used.
INTEGRATORS: dict[str, IntegratorState] = {
    "VelocityVerlet": IntegratorState(),
    "MeteredLangevin": IntegratorState(("accel", "heat")),
    "Bussi": IntegratorState(("transferred_energy",)),
    "NoseHooverChainNVT": IntegratorState(_CHAIN),
    "IsotropicMTKNPT": IntegratorState((*_CELL_CHAIN, "_cell0", "_volume0", "_eps", "_p_eps")),
    "MTKNPT": IntegratorState((*_CELL_CHAIN, "_h", "_p_g")),
    "NPTBerendsen": IntegratorState(),
}
