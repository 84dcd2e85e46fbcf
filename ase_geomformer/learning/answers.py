"""What a teacher answers for a structure, and structures as plain values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from ase_geomformer.learning.identity import electronic_state

# Entries of ``info`` that say which state of the electrons is meant, or what a frame is.
KEPT_INFO = ("charge", "spin", "config_type")


@dataclass(frozen=True, eq=False)
class Answer:
    """Result of one call of a teacher.

    Attributes
    ----------
    energy : float or None
        eV; None if the call failed.
    forces : ndarray, shape (N, 3), or None
        eV/Å.
    stress : ndarray, shape (3, 3), or None
        eV/Å^3, tensile positive; None where the structure has no volume or the teacher no stress.
    seconds : float
        Wall time of the call.
    reason : str
        Why it failed; empty if it did not.
    """

    energy: float | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    seconds: float = 0.0
    reason: str = ""


def ask(calculator: Calculator, atoms: Atoms) -> Answer:
    """Have a calculator label a structure; whatever goes wrong is the answer's reason."""
    atoms = prepared(atoms)
    started = time.perf_counter()
    try:
        # What a calculator remembers, such as a neighbour list, may change the last bits.
        if hasattr(calculator, "reset"):
            calculator.reset()
        forces = np.array(calculator.get_property("forces", atoms), dtype=np.float64)
        energy = float(calculator.get_property("energy", atoms))
        stress = _stress(calculator, atoms)
    except Exception as error:  # calculators of other packages have errors of their own
        name = type(error).__name__
        return Answer(seconds=time.perf_counter() - started, reason=f"{name}: {error}"[:2000])
    seconds = time.perf_counter() - started
    values = [np.array(energy), forces, *([] if stress is None else [stress])]
    if not all(np.isfinite(value).all() for value in values):
        return Answer(seconds=seconds, reason="the energy, a force or a stress is not finite")
    return Answer(energy, forces, stress, seconds)


def prepared(atoms: Atoms) -> Atoms:
    """A copy with charge and spin also where ASE's calculators look for them.

    Many take the total charge from the sum of the initial charges, and the number of unpaired
    electrons from that of the initial magnetic moments.
    """
    found = atoms.copy()
    charge, spin = electronic_state(atoms)
    if charge and not atoms.get_initial_charges().any():
        found.set_initial_charges(np.full(len(atoms), charge / len(atoms)))
    if spin > 1 and not atoms.get_initial_magnetic_moments().any():
        found.set_initial_magnetic_moments(np.full(len(atoms), (spin - 1) / len(atoms)))
    return found


def structure_to_plain(atoms: Atoms) -> dict[str, Any]:
    """A structure as plain values, to the last bit."""
    plain: dict[str, Any] = {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
    }
    moments = atoms.get_initial_magnetic_moments()
    if moments.any():
        plain["magnetic_moments"] = moments.tolist()
    known = {name: atoms.info[name] for name in KEPT_INFO if name in atoms.info}
    return {**plain, "info": {name: _scalar(value) for name, value in known.items()}}


def structure_from_plain(plain: Mapping[str, Any]) -> Atoms:
    """The structure that :func:`structure_to_plain` wrote."""
    return Atoms(
        numbers=plain["numbers"],
        positions=plain["positions"],
        cell=plain["cell"],
        pbc=plain["pbc"],
        magmoms=plain.get("magnetic_moments"),
        info=dict(plain["info"]),
    )


def _stress(calculator: Calculator, atoms: Atoms) -> NDArray[np.float64] | None:
    if not atoms.pbc.all() or "stress" not in calculator.implemented_properties:
        return None
    try:
        voigt = np.array(calculator.get_property("stress", atoms), dtype=np.float64)
    except (NotImplementedError, PropertyNotImplementedError):
        return None
    return np.array(voigt_6_to_full_3x3_stress(voigt)) if voigt.shape == (6,) else voigt


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
