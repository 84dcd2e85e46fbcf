"""Elastic constants that the strained frames of a data set tell, by their labels or a potential.

The frames stretch or shear one cubic cell, whose own stress need not vanish: constants of another
cell, such as the relaxed one of a potential, are not comparable with theirs. Both are therefore
fitted to the same frames, with the atoms where the frames have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from ase_geomformer.data.frames import Frame

# Quadratic fits of the stress have no need of larger strains, and suffer from them.
MAX_STRAIN = 0.045
SHEARS = ((1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Strained:
    """The crystal of the frames, unstrained but not free of stress.

    Attributes
    ----------
    lattice_constant_A : float
    stress_GPa : float
        Tension positive.
    c11_GPa, c12_GPa, c44_GPa : float
        Derivatives of the Cauchy stress by the strain.
    """

    lattice_constant_A: float
    stress_GPa: float
    c11_GPa: float
    c12_GPa: float
    c44_GPa: float

    @property
    def bulk_GPa(self) -> float:
        """Bulk modulus under that stress."""
        return (self.c11_GPa + 2.0 * self.c12_GPa) / 3.0

    def relaxed_lattice_constant_A(self, derivative: float) -> float:
        """That without stress, by Murnaghan's equation of state, PNAS 30, 244 (1944).

        Parameters
        ----------
        derivative : float
            Of the bulk modulus by the pressure.
        """
        pressure = -self.stress_GPa
        at_rest = self.bulk_GPa - derivative * pressure
        return self.lattice_constant_A * float(self.bulk_GPa / at_rest) ** (1 / (3 * derivative))


def strained(frames: Iterable[Frame], group: str = "Elastic") -> list[Frame]:
    """Those of a group that have stresses and are strained by MAX_STRAIN at most."""
    chosen = [frame for frame in frames if frame.atoms.info.get("group") == group]
    chosen = [frame for frame in chosen if frame.stress is not None]
    edge = _edge(chosen)
    return [it for it in chosen if np.abs(_strain(it, edge)).max() <= MAX_STRAIN]


def fit(
    frames: Sequence[Frame], stresses: Sequence[NDArray[np.float64]], atoms_per_cell: int
) -> Strained:
    """Fit the constants to strained frames.

    Parameters
    ----------
    frames : sequence of Frame
        Supercells of the conventional cell, alike but for their strain; see :func:`strained`.
    stresses : sequence of ndarray, shape (3, 3)
        Of each, by labels or a potential, eV/Å^3.
    atoms_per_cell : int
        In the conventional cell.
    """
    edge = _edge(frames)
    stretched: list[tuple[float, float, float]] = []
    sheared: list[tuple[float, float]] = []
    for frame, found in zip(frames, stresses, strict=True):
        strain, stress = _strain(frame, edge), found / GPa
        pair = max(SHEARS, key=lambda pair: abs(strain[pair]))
        if abs(strain[pair]) > 1e-4:
            sheared.append((2.0 * strain[pair], stress[pair]))
            continue
        axis = int(np.abs(np.diag(strain)).argmax())
        across = (np.trace(stress) - stress[axis, axis]) / 2.0
        stretched.append((strain[axis, axis], stress[axis, axis], across))
    stretch, along, across = np.array(stretched).T
    _, c11, along_at_rest = np.polyfit(stretch, along, 2)
    _, c12, across_at_rest = np.polyfit(stretch, across, 2)
    angle, shear = np.array(sheared).T
    c44 = np.linalg.lstsq(np.stack([angle, angle**3], axis=1), shear, rcond=None)[0][0]
    repeats = round((len(frames[0].atoms) / atoms_per_cell) ** (1 / 3))
    stress_at_rest = float(along_at_rest + 2.0 * across_at_rest) / 3.0
    return Strained(edge / repeats, stress_at_rest, float(c11), float(c12), float(c44))


def _edge(frames: Sequence[Frame]) -> float:
    """That of the unstrained supercell, which most edges have."""
    return float(np.median([frame.atoms.cell.lengths() for frame in frames]))


def _strain(frame: Frame, edge: float) -> NDArray[np.float64]:
    gradient = frame.atoms.cell.array / edge
    return np.asarray((gradient + gradient.T) / 2.0 - np.eye(3))
