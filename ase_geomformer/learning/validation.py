"""Which labels validate: for good, by the hash of the structure."""

from __future__ import annotations

from collections.abc import Iterable

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.identity import structure_key

SHARE = 0.12


def is_validation(frame: Frame) -> bool:
    """Whether a frame validates. It always does or never, however many others there are."""
    if frame.is_isolated_atom:
        return False
    return int(structure_key(frame.atoms)[:8], 16) / 16**8 < SHARE


def divided(frames: Iterable[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Frames to train on, without isolated atoms, and frames to validate with."""
    bonded = [frame for frame in frames if not frame.is_isolated_atom]
    held = [frame for frame in bonded if is_validation(frame)]
    return [frame for frame in bonded if not is_validation(frame)], held
