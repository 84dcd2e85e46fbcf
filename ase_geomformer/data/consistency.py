"""Whether forces and stresses are the derivatives of the energies beside them.

Between two close frames of the same atoms the energy changes by the work done along the straight
path, which the trapezoidal rule takes from the labels of its two ends, to third order in the step:
-1/2 sum_k F_k . dx where only the atoms move, 1/2 sum_k V_k sigma_k : (h_k^-1 dh) where only the
cell h (rows) is strained, k = a, b. Strained crystals and displaced atoms give such pairs, and so
does a trajectory stored densely. Energies that change by -1 times the work mean gradients instead
of forces, or the other sign of the stress; another factor means a wrong unit; a constant offset of
the stress is what a basis set that is too small for a changing cell leaves behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from ase_geomformer.data.frames import Frame

# Frames of one composition that are searched for pairs, whose number grows quadratically.
SEARCHED = 400
# The longest step of an atom in Å, and the largest strain, where the trapezoidal rule is trusted.
LONGEST_STEP = 0.15
LARGEST_STRAIN = 0.04
# Below these, in Å and as a strain, positions or cells count as the same.
SAME_POSITIONS = 1e-3
SAME_CELL = 1e-5
# Changes in eV per atom that a reference calculation resolves.
RESOLVED = 1e-4
# Fewer pairs say nothing; factors in between, and smaller offsets in GPa, may be noise.
LEAST_PAIRS = 5
FACTORS = 0.67, 1.5
LARGEST_OFFSET = 0.5


@dataclass(frozen=True)
class Step:
    """From a frame to its neighbour: changes of energy (eV) and volume (Å^3), work (eV)."""

    energy: float
    work: float
    volume: float
    strained: bool

    @property
    def largest(self) -> float:
        """The larger of the change and the work, eV."""
        return max(abs(self.energy), abs(self.work))


def contradictions(frames: Sequence[Frame]) -> Iterator[str]:
    """One message on forces, and one on stresses, that contradict the energies."""
    found = list(steps(frames))
    moved = [step for step in found if not step.strained]
    strained = [step for step in found if step.strained]
    if len(moved) >= LEAST_PAIRS:
        factor = work_factor(moved)
        if not FACTORS[0] <= factor <= FACTORS[1]:
            yield (
                f"forces are not the derivative of the energies: between {len(moved)} pairs of "
                f"close frames the energy changes by {factor:.3g} times the work of the forces "
                "(-1: gradients instead of forces); check forces_unit and the sign"
            )
    if len(strained) >= LEAST_PAIRS:
        factor, offset = work_factor_and_offset(strained)
        if not FACTORS[0] <= factor <= FACTORS[1]:
            yield (
                f"stresses are not the derivative of the energies: between {len(strained)} pairs "
                f"of strained cells the energy changes by {factor:.3g} times the work of the "
                "stress (-1: the other sign); check stress_unit and stress_sign"
            )
        elif abs(offset) > LARGEST_OFFSET * GPa:
            yield (
                f"stresses are {offset / GPa:+.1f} GPa off the derivative of the energies, as "
                f"{len(strained)} pairs of strained cells show: the two cannot both be learned; "
                f"correct the stresses by stress_offset_GPa: {-offset / GPa:.2f}, if it is a Pulay "
                "stress, or leave them out by stress_key: null"
            )


def steps(frames: Sequence[Frame]) -> Iterator[Step]:
    """Steps from each frame to the nearest later frame of the same atoms, where one is close."""
    groups: dict[bytes, list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.energy is not None:
            groups[frame.atoms.numbers.tobytes() + frame.atoms.pbc.tobytes()].append(frame)
    for members in groups.values():
        members = members[:SEARCHED]
        cells = np.array([frame.atoms.cell.complete().array for frame in members])
        positions = np.array([frame.atoms.positions for frame in members])
        scaled = positions @ np.linalg.inv(cells)
        for first, frame in enumerate(members[:-1]):
            gradients, moves = apart(
                cells[first], scaled[first], cells[first + 1 :], scaled[first + 1 :], frame
            )
            nearest = closest(gradients, np.abs(moves).max(axis=(1, 2)))
            if nearest is None:
                continue
            other = members[first + 1 + nearest]
            found = step(frame, other, gradients[nearest], moves[nearest])
            if found is not None and found.largest > RESOLVED * len(frame.atoms):
                yield found


def apart(
    cell: NDArray[np.float64],
    scaled: NDArray[np.float64],
    cells: NDArray[np.float64],
    others: NDArray[np.float64],
    frame: Frame,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacement gradients (n, 3, 3), and moves of atoms beside them (n, N, 3) in Å."""
    gradients = np.linalg.inv(cell) @ (cells - cell)
    moved = others - scaled
    moved -= np.round(moved) * frame.atoms.pbc
    return gradients, moved @ cell


def closest(gradients: NDArray[np.float64], moves: NDArray[np.float64]) -> int | None:
    """Index of the nearest frame of which either the cell or the atoms differ, None without one."""
    strains = np.abs(gradients).max(axis=(1, 2))
    near = (strains < LARGEST_STRAIN) & (moves < LONGEST_STEP)
    one_kind = (strains > SAME_CELL) != (moves > SAME_POSITIONS)
    distances = strains / LARGEST_STRAIN + moves / LONGEST_STEP
    if not (near & one_kind).any():
        return None
    return int(np.argmin(np.where(near & one_kind, distances, np.inf)))


def step(
    first: Frame, last: Frame, gradient: NDArray[np.float64], move: NDArray[np.float64]
) -> Step | None:
    """The step between two frames; None if one lacks the forces or the stress that it takes."""
    if first.energy is None or last.energy is None:
        return None
    change = last.energy - first.energy
    if np.abs(gradient).max() <= SAME_CELL:
        if first.forces is None or last.forces is None:
            return None
        work = -0.5 * np.sum((first.forces + last.forces) * move)
        return Step(change, float(work), 0.0, strained=False)
    if first.stress is None or last.stress is None or not first.atoms.pbc.all():
        return None
    volumes = first.atoms.get_volume(), last.atoms.get_volume()
    # Seen from the last cell, the same change of cell is another displacement gradient.
    seen = np.eye(3) - np.linalg.inv(np.eye(3) + gradient)
    work = volumes[0] * np.sum(first.stress * gradient) + volumes[1] * np.sum(last.stress * seen)
    return Step(change, 0.5 * float(work), volumes[1] - volumes[0], strained=True)


def work_factor(found: Sequence[Step]) -> float:
    """Slope of the changes of energy over the work, by least squares."""
    work = np.array([step.work for step in found])
    energy = np.array([step.energy for step in found])
    return float(work @ energy / max(work @ work, 1e-30))


def work_factor_and_offset(found: Sequence[Step]) -> tuple[float, float]:
    """That slope, and the constant by which the stress is too large, eV/Å^3, by least squares."""
    table = np.array([[step.work, -step.volume] for step in found])
    energy = np.array([step.energy for step in found])
    factor, offset = np.linalg.lstsq(table, energy, rcond=None)[0]
    return float(factor), float(offset)
