"""Langevin dynamics that keeps account of the heat it exchanges."""

from __future__ import annotations

from typing import Any

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

    # The only place between both of ASE's half steps in which the heat can be told from the work.
    def _BAOAB_OU(self, drag_gamma_mod: float = 0.0) -> None:
        before = self.atoms.get_kinetic_energy()
        super()._BAOAB_OU(drag_gamma_mod)
        self.heat += self.atoms.get_kinetic_energy() - before
