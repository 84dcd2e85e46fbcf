"""What ASE's integrators remember from step to step, beside the atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from ase.md.md import MolecularDynamics

from ase_geomformer.md.restart_facts import check_array


@dataclass(frozen=True)
class IntegratorState:
    """The variables of a kind of integrator, by the path of their attributes.

    Attributes
    ----------
    variables : tuple of str
        All that must be saved.
    momenta : tuple of str
        Those of them that are momenta.
    """

    variables: tuple[str, ...] = ()
    momenta: tuple[str, ...] = ()

    def save(self, dynamics: MolecularDynamics) -> dict[str, np.ndarray]:
        """Copies of the variables."""
        return {path: np.array(attrgetter(path)(dynamics)) for path in self.variables}

    def restore(self, dynamics: MolecularDynamics, saved: Mapping[str, np.ndarray]) -> None:
        """Set the variables to what :meth:`save` gave.

        Raises
        ------
        ValueError
            If one is missing, or of another shape than the integrator's.
        """
        for path in self.variables:
            if path not in saved:
                raise ValueError(f"the array {path} of the integrator is missing")
            value = saved[path]
            check_array(path, value, np.shape(attrgetter(path)(dynamics)), "f")
            _set(dynamics, path, value.copy() if value.ndim else value.item())

    def scale_momenta(self, dynamics: MolecularDynamics, factor: float) -> None:
        """Multiply the momenta by a factor."""
        for path in self.momenta:
            _set(dynamics, path, factor * attrgetter(path)(dynamics))


def _set(dynamics: MolecularDynamics, path: str, value: Any) -> None:
    *owners, name = path.split(".")
    setattr(attrgetter(".".join(owners))(dynamics) if owners else dynamics, name, value)


# ASE offers no way to save them: private names, which a restart to the bit cannot do without.
_CHAIN_MOMENTA = ("_p", "_thermostat._p_eta")
_CELL_MOMENTA = (*_CHAIN_MOMENTA, "_barostat._p_xi")
_CHAIN = ("_q", "_thermostat._eta", *_CHAIN_MOMENTA)
_CELL_CHAIN = ("_q", "_thermostat._eta", "_barostat._xi", *_CELL_MOMENTA)

# By the name of the class, so that nothing is imported that is not used.
INTEGRATORS: dict[str, IntegratorState] = {
    "VelocityVerlet": IntegratorState(),
    "MeteredLangevin": IntegratorState(("accel", "heat")),
    "ConstrainedVerlet": IntegratorState(),
    "ConstrainedLangevin": IntegratorState(("heat",)),
    "ConstrainedBussi": IntegratorState(("transferred_energy",)),
    "ConstrainedNoseHoover": IntegratorState(
        ("_thermostat._eta", "_thermostat._p_eta"), ("_thermostat._p_eta",)
    ),
    "Bussi": IntegratorState(("transferred_energy",)),
    "NoseHooverChainNVT": IntegratorState(_CHAIN, _CHAIN_MOMENTA),
    "IsotropicMTKNPT": IntegratorState(
        (*_CELL_CHAIN, "_cell0", "_volume0", "_eps", "_p_eps"), (*_CELL_MOMENTA, "_p_eps")
    ),
    "MTKNPT": IntegratorState((*_CELL_CHAIN, "_h", "_p_g"), (*_CELL_MOMENTA, "_p_g")),
    "MaskedMTKNPT": IntegratorState(
        (*_CELL_CHAIN, "_h", "_h0_basis", "_p_c"), (*_CELL_MOMENTA, "_p_c")
    ),
    "NPTBerendsen": IntegratorState(),
}
