"""Dynamics of constant pressure, built on ASE's integrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.thermostats import recount, set_nose_hoover, timestep

# Independent components of a symmetric matrix.
_SYMMETRIC = 6
# Cosines below this are those of right angles up to rounding.
_RIGHT_ANGLE = 1e-6


def mtk(
    atoms: Atoms,
    settings: MDSettings,
    _rng: np.random.Generator,
    degrees_of_freedom: int,
    _manifold: Any = None,
    /,
) -> MolecularDynamics:
    """Martyna-Tobias-Klein, with chains for atoms and cell."""
    dynamics = _MTK_SHAPES[settings.barostat](
        settings,
        atoms=atoms,
        timestep=timestep(settings),
        temperature_K=settings.temperature_K,
        pressure_au=settings.pressure_GPa * units.GPa,
        tdamp=settings.thermostat_time_fs * units.fs,
        pdamp=settings.barostat_time_fs * units.fs,
    )
    return recount(dynamics, settings, degrees_of_freedom)


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


def check_axes(atoms: Atoms, settings: MDSettings) -> None:
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


def berendsen(
    atoms: Atoms,
    settings: MDSettings,
    _rng: np.random.Generator,
    degrees_of_freedom: int,
    _manifold: Any = None,
    /,
) -> MolecularDynamics:
    """Berendsen's weak coupling."""
    from ase.md.nptberendsen import NPTBerendsen

    dynamics = NPTBerendsen(
        atoms,
        timestep(settings),
        temperature_K=settings.temperature_K,
        pressure_au=settings.pressure_GPa * units.GPa,
        taut=settings.thermostat_time_fs * units.fs,
        taup=settings.barostat_time_fs * units.fs,
        compressibility_au=settings.compressibility_per_GPa / units.GPa,
        fixcm=False,
    )
    set_berendsen(dynamics, settings.temperature_K, degrees_of_freedom)
    return dynamics


def cell_kinetic_energy(dynamics: Any) -> float:
    """Kinetic energy of the cell in eV, of Martyna-Tobias-Klein dynamics."""
    if hasattr(dynamics, "_p_eps"):  # isotropic
        return float(dynamics._p_eps**2 / (2.0 * dynamics._barostat.W))
    return float(dynamics._get_cell_kinetic_energy())


def set_mtk(dynamics: Any, temperature_K: float, degrees_of_freedom: int) -> None:
    """Give Martyna-Tobias-Klein dynamics another temperature."""
    set_nose_hoover(dynamics, temperature_K, degrees_of_freedom)
    dynamics._barostat._kT = dynamics._kT = units.kB * temperature_K


def set_berendsen(dynamics: Any, temperature_K: float, degrees_of_freedom: int) -> None:
    """Give Berendsen's thermostat another temperature."""
    # The thermostat compares with ASE's temperature, of three degrees of freedom per atom.
    share = degrees_of_freedom / dynamics.atoms.get_number_of_degrees_of_freedom()
    dynamics.set_temperature(temperature_K=share * temperature_K)


_MTK_SHAPES: dict[str, Callable[..., Any]] = {
    "isotropic": _mtk_isotropic,
    "full": _mtk_full,
    "axes": _mtk_axes,
}
