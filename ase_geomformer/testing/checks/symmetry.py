"""Checks of invariance under O(3), translations and permutations."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ase_geomformer.potential import Potential
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.structures import assert_close, ethanol, evaluate, known, triclinic

TURN = Rotation.from_rotvec([0.4, -1.3, 0.9]).as_matrix()
OPERATIONS = {
    "rotation": TURN,
    "inversion": -np.eye(3),
    "mirror": np.diag([1.0, 1.0, -1.0]),
    "rotation-reflection": TURN @ np.diag([-1.0, 1.0, 1.0]) @ TURN,
    # The direction along which polar angles are singular.
    "to the pole": Rotation.align_vectors([[0, 0, 1]], [ethanol().get_distance(0, 1, vector=True)])[
        0
    ].as_matrix(),
}


class SymmetryChecks:
    """Energies know neither where a structure is, nor how it is turned or numbered."""

    limits: ClassVar[Limits]

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("structure", ["molecule", "crystal"])
    def test_rotations_and_reflections(
        self, potential: Potential, structure: str, operation: str
    ) -> None:
        """E(Rx) = E(x), F(Rx) = R F(x), sigma(Rx) = R sigma(x) R^T for all of O(3)."""
        matrix = OPERATIONS[operation]
        here = ethanol() if structure == "molecule" else triclinic(potential.cutoff)
        there = here.copy()
        there.set_cell(here.cell.array @ matrix.T)
        there.positions = here.positions @ matrix.T
        before, after = evaluate(potential, here), evaluate(potential, there)
        turn = torch.from_numpy(matrix)
        relative = self.limits.rotation
        assert_close(after["energies"], before["energies"], relative)
        assert_close(after["forces"], before["forces"] @ turn.T, relative)
        if structure == "crystal":
            assert_close(after["stress"], turn @ before["stress"] @ turn.T, relative)
            assert_close(after["stresses"], turn @ before["stresses"] @ turn.T, relative)

    @pytest.mark.parametrize(
        "shift", [(0.3, -5.0, 2.0), (1000.0, 0.0, 0.0), (-1000.0, 1000.0, 1.0)]
    )
    @pytest.mark.parametrize("structure", ["molecule", "crystal"])
    def test_translations(
        self, potential: Potential, structure: str, shift: tuple[float, float, float]
    ) -> None:
        """The same molecule 1000 Å away; a crystal also with its atoms wrapped into the cell.

        Coordinates of 1000 Å hold 13 digits of a bond, which is all that may be lost.
        """
        here = ethanol() if structure == "molecule" else triclinic(potential.cutoff)
        here = known(potential, here)
        there = here.copy()
        there.translate(shift)
        wrapped = there.copy()
        wrapped.wrap()
        before = evaluate(potential, here)
        for moved in (there, wrapped):
            after = evaluate(potential, moved)
            assert_close(after["energies"], before["energies"], 1e-10)
            assert_close(after["forces"], before["forces"], 1e-10)

    @pytest.mark.parametrize("structure", ["molecule", "crystal"])
    def test_permutations(self, potential: Potential, structure: str) -> None:
        """Atoms in another order carry their energies and forces with them."""
        here = ethanol() if structure == "molecule" else triclinic(potential.cutoff) * (2, 1, 1)
        order = np.random.default_rng(0).permutation(len(here))
        before, after = evaluate(potential, here), evaluate(potential, here[order])
        assert_close(after["energies"], before["energies"][order], 1e-11)
        assert_close(after["forces"], before["forces"][order], 1e-11)
