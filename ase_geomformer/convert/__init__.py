"""Foreign checkpoints turned into potentials."""

from __future__ import annotations

from ase_geomformer.convert.so3krates_flax import so3krates_from_flax
from ase_geomformer.convert.so3lr import so3lr

__all__ = ["so3krates_from_flax", "so3lr"]
