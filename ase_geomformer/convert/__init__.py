"""Foreign checkpoints turned into potentials."""

from __future__ import annotations

from ase_geomformer.convert.so3krates_flax import so3krates_from_flax

__all__ = ["so3krates_from_flax"]
