"""Spherical t-designs from a stored table.

The table holds polar angle and azimuth of one half of each antipodal point set, as
``python -m ase_geomformer.architectures.est.sphere.designs`` found and verified them.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from ase_geomformer.architectures.est.sphere.design_search import (
    find_design,
    harmonic_means,
    to_points,
)
from ase_geomformer.architectures.est.sphere.quadrature import PointSet
from ase_geomformer.machine.files import atomic_file

DESIGN_DEGREES = tuple(range(3, 32, 2))
TABLE = "t_designs.npz"
TOLERANCE = 1e-14


def t_design(degree: int) -> PointSet:
    """The smallest stored design of at least a degree: equal weights, antipodal."""
    suitable = [available for available in DESIGN_DEGREES if available >= degree]
    if not suitable:
        raise ValueError(
            f"there is no t-design of degree {degree}, the highest is {DESIGN_DEGREES[-1]}: "
            "use the rule lebedev or gauss_legendre"
        )
    with (
        resources.files(__package__).joinpath("data", TABLE).open("rb") as file,
        np.load(file, allow_pickle=False) as table,
    ):
        angles = table[str(suitable[0])]
    return PointSet.equally_weighted(to_points(angles), suitable[0])


def write_table(path: Path) -> None:
    """Search for the designs of all degrees, verify them, and write the table."""
    designs = {str(degree): find_design(degree) for degree in DESIGN_DEGREES}
    for degree, angles in designs.items():
        error = harmonic_means(to_points(angles), int(degree)).max()
        if not error < TOLERANCE:
            raise RuntimeError(f"the points found for degree {degree} are not exact: {error:.1e}")
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **designs)


if __name__ == "__main__":
    write_table(Path(__file__).parent / "data" / TABLE)
