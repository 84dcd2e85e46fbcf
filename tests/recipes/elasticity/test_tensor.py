from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ase_geomformer.recipes.elasticity import tensor as tensors


def test_moduli_of_an_isotropic_solid() -> None:
    bulk_modulus, shear = 100.0, 40.0
    lame = bulk_modulus - 2 * shear / 3
    c = np.diag([2 * shear] * 3 + [shear] * 3).astype(float)
    c[:3, :3] += lame
    found = tensors.moduli(c)
    for average in ("voigt", "reuss", "hill"):
        assert getattr(found, f"bulk_{average}_GPa") == pytest.approx(bulk_modulus)
        assert getattr(found, f"shear_{average}_GPa") == pytest.approx(shear)
    assert found.universal_anisotropy == pytest.approx(0.0, abs=1e-12)
    assert found.poisson_hill == pytest.approx(lame / (2 * (lame + shear)))
    assert tensors.zener(c) == pytest.approx(1.0)
    np.testing.assert_allclose(tensors.stability(c)[[0, -1]], [2 * shear, 3 * bulk_modulus])
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 0.8]).as_matrix()
    np.testing.assert_allclose(tensors.rotated(c, turn), c, atol=1e-10)
    errors = np.where(c == shear, 2.0, 0.0)
    voigt = tensors.propagated(lambda x: tensors.moduli(x).shear_voigt_GPa, c, errors)
    assert voigt == pytest.approx(2.0 * 3 / 5)


def test_symmetrization_makes_a_tensor_cubic(rng: np.random.Generator) -> None:
    axes = np.array([np.roll(np.eye(3), shift, axis=0) for shift in range(3)])
    signs = np.array([np.diag(s) for s in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))])
    group = np.einsum("aij,bjk->abik", axes, signs).reshape(-1, 3, 3)
    raw = rng.normal(size=(6, 6))
    c = tensors.symmetrized(raw, group)
    np.testing.assert_allclose(c, c.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(c), [np.diag(raw)[:3].mean()] * 3 + [c[3, 3]] * 3)
    np.testing.assert_allclose(c[3:, :3], 0.0, atol=1e-12)
    np.testing.assert_allclose(tensors.symmetrized(c, group), c, atol=1e-12)
