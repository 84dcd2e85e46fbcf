from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from ase_geomformer.recipes import ElasticSettings, elastic
from ase_geomformer.recipes.elasticity import tensor as tensors
from ase_geomformer.recipes.elasticity.figure import plot


def run_elastic(atoms: Atoms, calculator: Any, **settings: Any) -> Any:
    return elastic(atoms, calculator, ElasticSettings(**settings), progress=False)


def test_elastic_constants_follow_the_crystal_when_it_is_turned() -> None:
    atoms = bulk("Cu", a=3.6)
    straight = run_elastic(atoms, EMT(), points=3)
    assert straight.crystal_class == "cubic"
    assert straight.stable
    c = straight.constants_GPa
    np.testing.assert_allclose(c, straight.standard_constants_GPa, atol=1e-6)
    assert straight.zener_anisotropy == pytest.approx(2 * c[3, 3] / (c[0, 0] - c[0, 1]))
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 0.8]).as_matrix()
    atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    turned = run_elastic(atoms, EMT(), points=3)
    # Strains along other axes see other parts of the anharmonicity, of the order of the strain
    # squared: 0.3 % of C11 for strains of 0.5 %.
    np.testing.assert_allclose(turned.standard_constants_GPa, c, atol=0.5)
    np.testing.assert_allclose(turned.constants_GPa, tensors.rotated(c, turn), atol=0.5)
    assert turned.asymmetry_GPa < 0.5
    # Which axes, and which components, the numbers and the figure refer to is told.
    summary = turned.summary()
    names = list(summary)
    assert names.index("standard_elastic_constants_GPa") < names.index("elastic_constants_GPa")
    assert "conventional cell" in summary["standard_axes"]
    assert "structure given" in summary["axes"]
    assert summary["components"] == ("xx", "yy", "zz", "yz", "xz", "xy")
    assert ("axes", "of the conventional cell", "") in turned.rows()
    drawn = plot(np.zeros((6, 3, 6)), np.zeros((6, 3, 6)), turned.constants_GPa)
    assert "structure given" in drawn.get_suptitle()


def test_relaxed_ions_soften_the_shear_of_a_crystal_with_a_basis(
    make_potential: Any, silicon: Atoms
) -> None:
    # Hexagonal close packing has atoms off the centres of inversion, so that strain moves them.
    atoms = bulk("Cu", "hcp", a=2.54, c=4.15)
    clamped = run_elastic(atoms, EMT(), points=3, relax_ions=False)
    relaxed = run_elastic(atoms, EMT(), points=3)
    assert relaxed.crystal_class == "hexagonal"
    c = relaxed.constants_GPa
    assert c[5, 5] == pytest.approx((c[0, 0] - c[0, 1]) / 2, rel=1e-6)
    assert c[5, 5] < clamped.constants_GPa[5, 5] - 1.0
    assert relaxed.zener_anisotropy is None
