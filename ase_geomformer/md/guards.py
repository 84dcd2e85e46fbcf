"""Reasons to stop a run before it wastes time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms


class RunStopped(Exception):
    """A guard ended the run; the message is the reason."""


def finite(atoms: Atoms) -> str | None:
    """Stop when the energy or a force is NaN or infinite."""
    energy = atoms.get_potential_energy()
    if not np.isfinite(energy):
        return f"the potential energy is {energy} eV"
    bad = np.flatnonzero(~np.isfinite(atoms.get_forces()).all(axis=1))
    if bad.size:
        index = int(bad[0])
        return (
            f"the forces on {bad.size} of {len(atoms)} atoms are not finite "
            f"(first: atom {index}, {atoms.symbols[index]})"
        )
    return None


# Each looks at the atoms after a step and returns a reason to stop, or None.
GUARDS: dict[str, Callable[[Atoms], str | None]] = {"finite": finite}


def check(atoms: Atoms, step: int) -> None:
    """Ask every guard; raise RunStopped with the first reason given."""
    for guard in GUARDS.values():
        reason = guard(atoms)
        if reason is not None:
            raise RunStopped(
                f"stopped at step {step}: {reason}. Look at the starting structure and the time "
                "step, and whether the potential was made for such structures."
            )
