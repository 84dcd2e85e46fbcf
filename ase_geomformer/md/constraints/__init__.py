"""Constraints of ASE in molecular dynamics."""

from ase_geomformer.md.constraints.manifold import Manifold, NotHeld
from ase_geomformer.md.constraints.motion import driving_forces
from ase_geomformer.md.constraints.table import (
    CONSTRAINTS,
    check,
    constrain,
    lets_rotate,
    manifold_of,
    markdown,
    translations,
)

__all__ = [
    "CONSTRAINTS",
    "Manifold",
    "NotHeld",
    "check",
    "constrain",
    "driving_forces",
    "lets_rotate",
    "manifold_of",
    "markdown",
    "translations",
]
