"""Equivariance error of the forces, for potentials that are only approximately equivariant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.potential import Potential

ROTATIONS = 12


def rotation_error(potential: Potential, structures: Sequence[Atoms], seed: int = 0) -> float:
    """Root mean square change of a force component in eV/Å, over random orientations.

    Forces of each structure in twelve orientations are turned back and compared with their mean,
    in float64.
    """
    turns = Rotation.random(ROTATIONS, rng=np.random.default_rng(seed)).as_matrix()
    evaluate = BatchEvaluator(potential, dtype="float64", device=potential.device)
    changes = []
    for atoms in structures:
        turned = []
        for turn in turns:
            copy = atoms.copy()
            copy.positions = atoms.positions @ turn.T
            copy.cell.array[:] = atoms.cell.array @ turn.T
            turned.append(copy)
        found = evaluate(turned, ("forces",))
        forces = np.array([entry["forces"] @ t for entry, t in zip(found, turns, strict=True)])
        changes.append((forces - forces.mean(axis=0)).ravel())
    return float(np.sqrt(np.mean(np.concatenate(changes) ** 2)))
