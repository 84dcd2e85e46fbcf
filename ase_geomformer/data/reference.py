"""Scales of a data set: energies of its elements, and the size of its forces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers

from ase_geomformer.data.frames import Frame, elements
from ase_geomformer.machine.display import Table

AGREEMENT = 1e-3
"""Isolated atoms of one element must agree in energy to this, eV."""


@dataclass(frozen=True)
class ReferenceEnergies:
    """Energy of one atom of each element, the zero from which a potential counts.

    Attributes
    ----------
    energies : dict
        eV by symbol.
    origins : dict
        By symbol: ``given``, ``isolated atom`` or ``least squares``.
    residual : float
        Root mean square of what the references leave of the energies, eV per atom; NaN without
        labelled energies.
    """

    energies: dict[str, float]
    origins: dict[str, str]
    residual: float

    def table(self) -> Table:
        """The energies and where they come from."""
        table = Table(title=f"Reference energies (residual: {self.residual:.4g} eV/atom)")
        table.add_column("element")
        table.add_column("energy (eV)", justify="right")
        table.add_column("from")
        for symbol, energy in self.energies.items():
            table.add_row(symbol, f"{energy:.6f}", self.origins[symbol])
        return table


def reference_energies(
    frames: Sequence[Frame], *, given: Mapping[str, float] | None = None, ridge: float = 1e-8
) -> ReferenceEnergies:
    """Reference energies: as given, else of isolated atoms, else by regularised least squares.

    Parameters
    ----------
    frames : sequence of Frame
    given : mapping, optional
        Energies known beforehand, eV by symbol.
    ridge : float
        Squared ratio of what is left per atom (about 0.1 eV) to what elements differ by (about
        1000 eV with all electrons). It keeps the fit bounded where compositions do not tell
        elements apart: data of one molecule give every element the mean energy per atom.

    Raises
    ------
    ValueError
        If isolated atoms of one element disagree, or an element has neither a given energy nor
        any frame with a labelled energy.
    """
    known = dict(given or {})
    origins = dict.fromkeys(known, "given")
    for symbol, energy in isolated_energies(frames).items():
        if symbol not in known:
            known[symbol], origins[symbol] = energy, "isolated atom"
    labelled = [(frame, frame.energy) for frame in frames if frame.energy is not None]
    unknown = [symbol for symbol in elements(frames) if symbol not in known]
    known.update(fit_energies(labelled, known, unknown, ridge))
    origins.update(dict.fromkeys(unknown, "least squares"))
    left = [(energy - atomic_energy(f, known)) / len(f.atoms) for f, energy in labelled]
    residual = float(np.sqrt(np.mean(np.square(left)))) if left else float("nan")
    order = sorted(known, key=lambda symbol: atomic_numbers[symbol])
    return ReferenceEnergies({s: known[s] for s in order}, origins, residual)


def isolated_energies(frames: Sequence[Frame]) -> dict[str, float]:
    """Energy of each element that has a labelled isolated atom, eV by symbol."""
    found: dict[str, tuple[float, Frame]] = {}
    for frame in frames:
        if not frame.is_isolated_atom or frame.energy is None:
            continue
        symbol = frame.atoms.get_chemical_symbols()[0]
        energy, first = found.setdefault(symbol, (frame.energy, frame))
        if abs(frame.energy - energy) > AGREEMENT:
            raise ValueError(
                f"isolated {symbol} has {energy:.6f} eV in {first.where} but "
                f"{frame.energy:.6f} eV in {frame.where}; keep one of them"
            )
    return {symbol: energy for symbol, (energy, _) in found.items()}


def fit_energies(
    labelled: Sequence[tuple[Frame, float]],
    known: Mapping[str, float],
    unknown: Sequence[str],
    ridge: float,
) -> dict[str, float]:
    """Ridge regression of energies per atom on fractions of the unknown elements.

    The unknown energies are the mean energy per atom plus deviations of least norm.
    """
    if not unknown:
        return {}
    counts = np.array(
        [[f.atoms.get_chemical_symbols().count(s) for s in unknown] for f, _ in labelled], float
    )
    counts = counts.reshape(len(labelled), len(unknown))
    absent = [s for s, column in zip(unknown, counts.T, strict=True) if not column.any()]
    if absent:
        raise ValueError(
            f"no frame with an energy contains {', '.join(absent)}: give its reference energy, "
            "or add such a frame"
        )
    rows = counts.any(axis=1)
    total = np.array([energy - atomic_energy(f, known) for f, energy in labelled])[rows]
    atoms = counts[rows].sum(axis=1)
    per_atom = total / atoms
    mean = per_atom.mean()
    fractions = np.vstack([counts[rows] / atoms[:, None], np.sqrt(ridge) * np.eye(len(unknown))])
    deviations = np.concatenate([per_atom - mean, np.zeros(len(unknown))])
    solution = np.linalg.lstsq(fractions, deviations, rcond=None)[0]
    return {symbol: float(mean + value) for symbol, value in zip(unknown, solution, strict=True)}


def atomic_energy(frame: Frame, energies: Mapping[str, float]) -> float:
    """Sum of the reference energies of a frame's atoms, eV; elements not listed count nothing."""
    return sum(energies.get(symbol, 0.0) for symbol in frame.atoms.get_chemical_symbols())


def force_rms(frames: Sequence[Frame]) -> float:
    """Root mean square of all force components, eV/Å.

    Raises
    ------
    ValueError
        If no frame has forces.
    """
    forces = [frame.forces.ravel() for frame in frames if frame.forces is not None]
    if not forces:
        raise ValueError("no frame has forces to compute the force scale from; give a force scale")
    return float(np.sqrt(np.mean(np.square(np.concatenate(forces)))))
