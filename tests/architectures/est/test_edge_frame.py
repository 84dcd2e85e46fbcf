from __future__ import annotations

import numpy as np
import pytest
import torch
from e3nn.o3 import Irrep
from torch import Tensor

from ase_geomformer.architectures.est.edge_frame import (
    EdgeFrames,
    divided,
    frame_axes,
    from_frames,
    signed_orders,
    to_frames,
)
from ase_geomformer.layers.harmonics import SphericalHarmonics
from ase_geomformer.layers.written_gradient import by_formula

pytestmark = pytest.mark.quick

LMAX = 4
POLES = torch.cat([torch.eye(3), -torch.eye(3)]).double()


@pytest.fixture
def directions() -> Tensor:
    """All over the sphere, at its poles, and 1e-9 beside them."""
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))
    values = torch.cat([values, POLES, POLES + 1e-9])
    return values / values.norm(dim=1, keepdim=True)


def test_axes_are_rotations_that_take_edges_to_z(directions: Tensor) -> None:
    axes = frame_axes(directions)
    torch.testing.assert_close(
        axes @ axes.transpose(1, 2), torch.eye(3).double().expand_as(axes), rtol=0, atol=1e-14
    )
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(len(axes)).double())
    lifted = torch.einsum("eab,eb->ea", axes, directions)
    torch.testing.assert_close(lifted, POLES[2].expand_as(lifted), rtol=0, atol=1e-14)


def test_matrices_are_those_of_e3nn(directions: Tensor) -> None:
    """With every order kept. e3nn's axes are ours in the order y, z, x.

    Its matrices come from tables of float32: they differ by 1.6e-6.
    """
    order = [1, 2, 0]
    permuted = frame_axes(directions)[:, order][:, :, order]
    for l, matrices in enumerate(EdgeFrames(LMAX, LMAX).double()(directions), start=1):
        expected = Irrep(l, (-1) ** l).D_from_matrix(permuted)
        rows = [l + m for m in signed_orders(l)]
        torch.testing.assert_close(matrices, expected[:, rows], rtol=0, atol=4e-6)
        product = matrices @ matrices.mT
        unit = torch.eye(2 * l + 1).double().expand_as(product)
        torch.testing.assert_close(product, unit, atol=1e-12, rtol=0)


@pytest.mark.parametrize("mmax", [0, 2])
def test_harmonics_of_the_edge_have_only_m_zero(directions: Tensor, mmax: int) -> None:
    rotations = EdgeFrames(LMAX, mmax).double()(directions)
    harmonics = SphericalHarmonics(range(LMAX + 1))(directions)
    first, *others = to_frames(harmonics[:, :, None], rotations)
    degrees = 2.0 * torch.arange(LMAX + 1).double() + 1.0
    expected = torch.sqrt(degrees / (4.0 * torch.pi))[:, None].expand_as(first)
    torch.testing.assert_close(first, expected, rtol=0, atol=1e-13)
    assert [block.shape[1:3] for block in others] == [(2, LMAX + 1 - m) for m in range(1, mmax + 1)]
    assert all(block.abs().max() < 1e-13 for block in others)


@pytest.mark.parametrize("mmax", [0, 2, LMAX])
def test_frames_and_back(directions: Tensor, mmax: int) -> None:
    """Nothing is lost but the orders above mmax, and what is kept is not changed."""
    rotations = EdgeFrames(LMAX, mmax).double()(directions)
    generator = torch.Generator().manual_seed(0)
    size = (len(directions), (LMAX + 1) ** 2, 3)
    features = torch.randn(size, generator=generator, dtype=torch.float64)
    blocks = to_frames(features, rotations)
    back = from_frames(blocks, rotations)
    if mmax == LMAX:
        torch.testing.assert_close(back, features, rtol=0, atol=1e-13)
    for block, again in zip(blocks, to_frames(back, rotations), strict=True):
        torch.testing.assert_close(again, block, rtol=0, atol=1e-13)


def test_two_derivatives_at_the_poles() -> None:
    """Frames differentiate along and beside the axes, where angles would not."""
    frames = EdgeFrames(2, 2).double()

    def function(vectors: Tensor) -> tuple[Tensor, ...]:
        return frames(vectors / vectors.norm(dim=1, keepdim=True))

    points = POLES.clone().requires_grad_()
    assert torch.autograd.gradcheck(function, points)
    assert torch.autograd.gradgradcheck(function, points)


def test_no_direction_is_finite() -> None:
    matrices = EdgeFrames(3, 2).double()(torch.zeros(1, 3).double())
    assert all(torch.isfinite(block).all() for block in matrices)


@pytest.mark.parametrize(("lmax", "mmax"), [(1, 1), (2, 2), (LMAX, 2)])
def test_joined_matrices_and_their_gradient(directions: Tensor, lmax: int, mmax: int) -> None:
    """From products of matrices of lower degrees, instead of harmonics of points."""
    frames = EdgeFrames(lmax, mmax).double()
    generator = torch.Generator().manual_seed(0)

    def values_and_gradient() -> tuple[Tensor, Tensor]:
        leaf = directions.clone().requires_grad_()
        # Only turns of the direction count: a longer one is no direction.
        matrices = frames.joined(leaf / leaf.norm(dim=1, keepdim=True))
        slopes = torch.randn(matrices.shape, generator=generator.manual_seed(0)).double()
        return matrices, *torch.autograd.grad((matrices * slopes).sum(), leaf)

    found = values_and_gradient()
    with by_formula():
        expected = values_and_gradient()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    rotations = frames(directions)
    torch.testing.assert_close(divided(found[0], lmax, mmax), rotations, rtol=0, atol=1e-13)
