from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ase_geomformer.layers.radial import RADIAL_BASES, BernsteinBasis, BesselBasis, GaussianBasis

pytestmark = pytest.mark.quick

CUTOFF = 4.5


@pytest.fixture(params=sorted(RADIAL_BASES))
def basis(request: pytest.FixtureRequest) -> nn.Module:
    return RADIAL_BASES[request.param](8, CUTOFF).double()


@pytest.mark.parametrize(
    ("name", "num_basis", "cutoff", "table"),
    [
        ("physnet", 16, 5.0, "physnet.K16.rc5"),
        ("physnet", 32, 5.0, "physnet.K32.rc5"),
        ("bernstein", 16, 4.0, "bernstein.K16.rc4"),
        ("bernstein", 32, 4.5, "bernstein.K32.rc4.5"),
        ("bessel", 12, 4.5, "fourier.K12.rc4.5"),
    ],
)
def test_tables_of_the_original_code(
    shared: Path, name: str, num_basis: int, cutoff: float, table: str
) -> None:
    tables = np.load(shared / "fixtures" / "so3krates" / "tables.npz")
    basis = RADIAL_BASES[name](num_basis, cutoff).double()
    values = basis(torch.from_numpy(tables["distance"])).detach().numpy()
    np.testing.assert_allclose(values, tables[f"rbf.{table}"], rtol=0.0, atol=1e-11)


def test_two_derivatives(basis: nn.Module) -> None:
    distances = torch.tensor([0.3, 1.0, 2.7, CUTOFF, 6.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(basis, distances)
    assert torch.autograd.gradgradcheck(basis, distances)


def test_finite_where_atoms_coincide(basis: nn.Module) -> None:
    distances = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    values = basis(distances)
    (slope,) = torch.autograd.grad(values.square().sum(), distances, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), distances, allow_unused=True)
    for tensor in (values, slope, curvature):
        assert torch.isfinite(tensor).all()


def test_float32_is_close_to_float64(basis: nn.Module) -> None:
    distances = torch.linspace(0.3, CUTOFF, 40, dtype=torch.float64)
    exact = basis(distances)
    rounded = basis.float()(distances.float())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=0.0, atol=1e-5)


def test_bernstein_is_a_partition_of_one() -> None:
    """The binomial theorem: the K functions sum to (u + 1 - u)^(K-1) = 1 at every distance."""
    values = BernsteinBasis(32, CUTOFF).double()(torch.linspace(0.01, 9.0, 50, dtype=torch.float64))
    torch.testing.assert_close(values.sum(dim=1), torch.ones(50, dtype=torch.float64))


def test_bernstein_peaks_at_the_mode_of_the_binomial() -> None:
    """b_k is largest where exp(-gamma d) = k / (K-1)."""
    basis = BernsteinBasis(5, CUTOFF).double()
    peaks = [-math.log(k / 4) / basis.gamma for k in (1, 2, 3)]
    distances = torch.tensor(peaks, dtype=torch.float64, requires_grad=True)
    values = basis(distances)[range(3), [1, 2, 3]]
    (slopes,) = torch.autograd.grad(values.sum(), distances)
    torch.testing.assert_close(slopes, torch.zeros_like(slopes), rtol=0.0, atol=1e-12)


def test_bessel_is_the_standing_wave() -> None:
    distances = torch.tensor([0.2, 1.7, 4.0], dtype=torch.float64)
    values = BesselBasis(4, CUTOFF).double()(distances)
    for k in range(4):
        expected = torch.sin(math.pi * k * distances / CUTOFF) / distances
        torch.testing.assert_close(values[:, k], expected)


def test_bessel_limit_where_atoms_coincide() -> None:
    values = BesselBasis(4, CUTOFF).double()(torch.zeros(1, dtype=torch.float64))
    expected = math.pi / CUTOFF * torch.arange(4, dtype=torch.float64)
    torch.testing.assert_close(values[0], expected)


def test_gaussians_sit_on_an_even_grid_as_wide_as_their_spacing() -> None:
    basis = GaussianBasis(4, 4.5).double()
    values = basis(torch.tensor([1.5, 3.0], dtype=torch.float64))
    neighbour, next_one = math.exp(-0.5), math.exp(-2.0)
    expected = [[neighbour, 1.0, neighbour, next_one], [next_one, neighbour, 1.0, neighbour]]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))
