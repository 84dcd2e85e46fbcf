"""The ensembles by name, each built on an integrator of ASE.

All thermostats act on the degrees of freedom that can exchange energy: a drift or a rotation
that is zero and conserved is not counted
(:func:`~ase_geomformer.md.velocities.degrees_of_freedom`). ASE's own default counts three for every
atom, which makes a small molecule at rest too hot.

Some of ASE's integrators can be told neither that number nor another temperature; their private
attributes are then set, and the tests of ensembles, ramps and restarts compare what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from ase_geomformer.md.settings import MDSettings

# Independent components of a symmetric matrix.
_SYMMETRIC = 6
# Cosines below this are those of right angles up to rounding.
_RIGHT_ANGLE = 1e-6


@dataclass(frozen=True)
class Ensemble:
    """How to run an ensemble.

    Attributes
    ----------
    build : callable
        From atoms with calculator and velocities, settings, generator and number of degrees
        of freedom to ASE's dynamics.
    conserved : callable or None
        From the dynamics to the energy in eV that exact integration would keep constant; None
        where there is no such quantity.
    set_temperature : callable
        Gives dynamics another target temperature in K, for a number of degrees of freedom.
    conserves_momentum : bool
        Whether a drift that is zero at the start remains zero.
    has_barostat : bool
        Whether the cell changes, which takes three periodic directions and the stress.
    """

    build: Callable[[Atoms, MDSettings, np.random.Generator, int], MolecularDynamics]
    conserved: Callable[[Any], float] | None
    set_temperature: Callable[[Any, float, int], None]
    conserves_momentum: bool = True
    has_barostat: bool = False

    def check(self, atoms: Atoms, settings: MDSettings) -> None:
        """Raise ValueError if the structure does not suit the ensemble."""
        if not self.has_barostat:
            return
        name = settings.ensemble
        if not (atoms.pbc.all() and atoms.cell.rank == 3):
            raise ValueError(
                f"{name} changes the volume and needs a structure periodic in three directions; "
                f"this one has pbc = {atoms.pbc.tolist()}. Take an nvt ensemble."
            )
        if atoms.constraints:
            raise ValueError(f"{name} does not work with constraints; remove them, or take nvt")
        if settings.barostat == "axes" and name == "npt-mtk":
            _check_axes(atoms, settings)


def _nve(atoms: Atoms, settings: MDSettings, *_: Any) -> MolecularDynamics:
    from ase.md.verlet import VelocityVerlet

    return VelocityVerlet(atoms, _timestep(settings))


def _langevin(
    atoms: Atoms, settings: MDSettings, rng: np.random.Generator, _: int
) -> MolecularDynamics:
    from ase_geomformer.md.langevin import MeteredLangevin

    return MeteredLangevin(
        atoms,
        _timestep(settings),
        temperature_K=settings.temperature_K,
        T_tau=units.fs / settings.friction_per_fs,
        rng=rng,
        # The cell is fixed: this only spares a matrix exponential in every step.
        hydrostatic=True,
    )


def _bussi(
    atoms: Atoms, settings: MDSettings, rng: np.random.Generator, degrees_of_freedom: int
) -> MolecularDynamics:
    from ase.md.bussi import Bussi

    dynamics = Bussi(
        atoms,
        _timestep(settings),
        temperature_K=settings.temperature_K,
        taut=settings.thermostat_time_fs * units.fs,
        rng=rng,
    )
    dynamics.ndof = degrees_of_freedom
    _set_bussi(dynamics, settings.temperature_K, degrees_of_freedom)
    return dynamics


def _nose_hoover(
    atoms: Atoms, settings: MDSettings, _: np.random.Generator, degrees_of_freedom: int
) -> MolecularDynamics:
    from ase.md.nose_hoover_chain import NoseHooverChainNVT

    dynamics = NoseHooverChainNVT(
        atoms,
        _timestep(settings),
        temperature_K=settings.temperature_K,
        tdamp=settings.thermostat_time_fs * units.fs,
    )
    return _recount(dynamics, settings, degrees_of_freedom)


def _mtk(
    atoms: Atoms, settings: MDSettings, _: np.random.Generator, degrees_of_freedom: int
) -> MolecularDynamics:
    dynamics = _MTK_SHAPES[settings.barostat](
        settings,
        atoms=atoms,
        timestep=_timestep(settings),
        temperature_K=settings.temperature_K,
        pressure_au=settings.pressure_GPa * units.GPa,
        tdamp=settings.thermostat_time_fs * units.fs,
        pdamp=settings.barostat_time_fs * units.fs,
    )
    return _recount(dynamics, settings, degrees_of_freedom)


def _mtk_isotropic(_: MDSettings, **options: Any) -> Any:
    from ase.md.nose_hoover_chain import IsotropicMTKNPT

    return IsotropicMTKNPT(**options)


def _mtk_full(_: MDSettings, **options: Any) -> Any:
    from ase.md.nose_hoover_chain import MTKNPT

    dynamics = MTKNPT(**options)
    # The cell's momentum is a symmetric matrix: six motions, and not the nine that ASE counts,
    # which would keep the cell at one and a half times the temperature.
    barostat = dynamics._barostat
    barostat._cell_dof = _SYMMETRIC
    barostat._R[0] = _SYMMETRIC * barostat._kT * barostat._pdamp**2
    return dynamics


def _mtk_axes(settings: MDSettings, **options: Any) -> Any:
    try:
        from ase.md.nose_hoover_chain import MaskedMTKNPT
    except ImportError as error:
        raise ImportError(
            "barostat axes needs a newer ASE, such as 3.29; pip install -U ase"
        ) from error
    # As an array: a tuple of bools, which ASE asks for, indexes nothing at all in NumPy.
    mask: Any = _free_axes(settings)
    return MaskedMTKNPT(**options, mask=mask)


def _free_axes(settings: MDSettings) -> np.ndarray:
    """Which of the cell vectors a, b, c may change their lengths (3,)."""
    return np.array([axis not in settings.fixed_axes for axis in "abc"])


def _check_axes(atoms: Atoms, settings: MDSettings) -> None:
    """The length of an axis can change on its own only if it is normal to the other two."""
    directions = atoms.cell.array / atoms.cell.lengths()[:, None]
    cosines = np.abs(directions @ directions.T - np.eye(3))
    skewed = (cosines > _RIGHT_ANGLE).any(axis=1) & _free_axes(settings)
    if skewed.any():
        raise ValueError(
            f"barostat axes changes lengths of cell vectors that are normal to the others, and "
            f"{'abc'[int(skewed.argmax())]} is not: the angles are "
            f"{np.round(atoms.cell.angles(), 3).tolist()}. Fix that axis, or take barostat full"
        )


def _berendsen(
    atoms: Atoms, settings: MDSettings, _: np.random.Generator, degrees_of_freedom: int
) -> MolecularDynamics:
    from ase.md.nptberendsen import NPTBerendsen

    dynamics = NPTBerendsen(
        atoms,
        _timestep(settings),
        temperature_K=settings.temperature_K,
        pressure_au=settings.pressure_GPa * units.GPa,
        taut=settings.thermostat_time_fs * units.fs,
        taup=settings.barostat_time_fs * units.fs,
        compressibility_au=settings.compressibility_per_GPa / units.GPa,
        fixcm=False,
    )
    _set_berendsen(dynamics, settings.temperature_K, degrees_of_freedom)
    return dynamics


def _timestep(settings: MDSettings) -> float:
    return settings.timestep_fs * units.fs


def _recount(dynamics: Any, settings: MDSettings, degrees_of_freedom: int) -> MolecularDynamics:
    """Give Nose-Hoover dynamics a chain for another number of degrees of freedom.

    ASE's chain counts three times its number of atoms and has no other way to be told.
    """
    from ase.md.nose_hoover_chain import NoseHooverChainThermostat

    dynamics._thermostat = NoseHooverChainThermostat(
        num_atoms_global=degrees_of_freedom / 3,  # type: ignore[arg-type]
        masses=dynamics.masses,
        temperature_K=settings.temperature_K,
        tdamp=settings.thermostat_time_fs * units.fs,
    )
    return dynamics


def _keep_temperature(*_: Any) -> None:
    """Constant energy has no target."""


def _set_langevin(dynamics: Any, temperature_K: float, _: int) -> None:
    dynamics.set_temperature(temperature_K)


def _set_bussi(dynamics: Any, temperature_K: float, degrees_of_freedom: int) -> None:
    dynamics.temp = units.kB * temperature_K
    dynamics.target_kinetic_energy = 0.5 * dynamics.temp * degrees_of_freedom


def _set_nose_hoover(dynamics: Any, temperature_K: float, _: int) -> None:
    # The masses of the chain stay: the thermostat's frequency then follows the temperature.
    dynamics._thermostat._kT = units.kB * temperature_K


def _set_mtk(dynamics: Any, temperature_K: float, degrees_of_freedom: int) -> None:
    _set_nose_hoover(dynamics, temperature_K, degrees_of_freedom)
    dynamics._barostat._kT = dynamics._kT = units.kB * temperature_K


def _set_berendsen(dynamics: Any, temperature_K: float, degrees_of_freedom: int) -> None:
    # The thermostat compares with ASE's temperature, of three degrees of freedom per atom.
    share = degrees_of_freedom / dynamics.atoms.get_number_of_degrees_of_freedom()
    dynamics.set_temperature(temperature_K=share * temperature_K)


_MTK_SHAPES: dict[str, Callable[..., Any]] = {
    "isotropic": _mtk_isotropic,
    "full": _mtk_full,
    "axes": _mtk_axes,
}

ENSEMBLES: dict[str, Ensemble] = {
    "nve": Ensemble(
        _nve, lambda dynamics: dynamics.atoms.get_total_energy(), set_temperature=_keep_temperature
    ),
    "nvt-langevin": Ensemble(
        _langevin,
        lambda dynamics: dynamics.atoms.get_total_energy() - dynamics.heat,
        set_temperature=_set_langevin,
        conserves_momentum=False,
    ),
    "nvt-bussi": Ensemble(
        _bussi,
        lambda dynamics: dynamics.atoms.get_total_energy() - dynamics.transferred_energy,
        set_temperature=_set_bussi,
    ),
    "nvt-nose-hoover": Ensemble(
        _nose_hoover,
        lambda dynamics: dynamics.get_conserved_energy(),
        set_temperature=_set_nose_hoover,
    ),
    "npt-mtk": Ensemble(
        _mtk,
        lambda dynamics: dynamics.get_conserved_energy(),
        set_temperature=_set_mtk,
        has_barostat=True,
    ),
    "npt-berendsen": Ensemble(
        _berendsen, conserved=None, set_temperature=_set_berendsen, has_barostat=True
    ),
}
