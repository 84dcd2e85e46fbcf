"""Linear maps and norms of features that turn with the structure.

An equivariant stream e (N, M, F) holds F channels; each has the M = sum of 2l+1 components of some
degrees l. Rotations mix components, so maps act on channels only, without a bias but on degree 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ase_geomformer.layers.dense import dense, lecun_normal_

EQUIVARIANT_NORM_EPS = 1e-10
WHITENING_EPS = 1e-5
# Each step multiplies small eigenvalues by 9/4: enough for 1e-9 of the largest to reach one.
WHITENING_STEPS = 32


class StackedLinear(nn.Module):
    """Several linear maps of the same input, held as a stack of matrices and done as one product.

    Parameters
    ----------
    num_in, num_out, num_maps : int
    bias : bool
        Whether to add a trainable vector, zero at the start.
    """

    def __init__(self, num_in: int, num_out: int, num_maps: int, *, bias: bool = False) -> None:
        super().__init__()
        self.num_out = num_out
        weight = torch.empty(num_maps, num_out, num_in)
        self.weight = nn.Parameter(lecun_normal_(weight, num_in))
        self.bias = nn.Parameter(torch.zeros(num_maps * num_out)) if bias else None

    def forward(self, values: Tensor) -> tuple[Tensor, ...]:
        """(..., F) to ``num_maps`` of (..., num_out)."""
        # As rows of one matrix: torch would choose the product by the strides, and by whether
        # gradients are wanted, and its last digits with it.
        rows = values.reshape(-1, values.shape[-1])
        mapped = functional.linear(rows, self.weight.flatten(0, 1), self.bias)
        # By name: a domain without atoms has no elements to find a size from.
        return mapped.reshape(*values.shape[:-1], mapped.shape[-1]).split(self.num_out, dim=-1)


class EquivariantMaps(nn.Module):
    """Several linear maps of an equivariant stream, with matrices of their own for each degree.

    Parameters
    ----------
    num_in, num_out, num_maps : int
    degrees : sequence of int
        Degrees in the order in which their components are stored.
    """

    def __init__(self, num_in: int, num_out: int, num_maps: int, degrees: Sequence[int]) -> None:
        super().__init__()
        self.sizes = [2 * l + 1 for l in degrees]
        self.maps = nn.ModuleList([StackedLinear(num_in, num_out, num_maps) for _ in degrees])

    @property
    def by_map(self) -> tuple[Tensor, ...]:
        """The matrices of all components (M, num_in, num_out) of each map."""
        stacks = zip(*(part.weight for part in self.maps), strict=True)
        return tuple(
            torch.stack(
                [
                    matrix.T
                    for matrix, size in zip(stack, self.sizes, strict=True)
                    for _ in range(size)
                ]
            )
            for stack in stacks
        )

    @property
    def by_component(self) -> Tensor:
        """The matrices (M, num_in, num_out) of the only map."""
        (matrices,) = self.by_map
        return matrices

    def forward(self, values: Tensor) -> tuple[Tensor, ...]:
        """(N, M, F) to ``num_maps`` of (N, M, num_out)."""
        rows = values.split(self.sizes, dim=1)
        mapped = [apply(part) for apply, part in zip(self.maps, rows, strict=True)]
        return tuple(torch.cat(parts, dim=1) for parts in zip(*mapped, strict=True))


class EquivariantNorm(nn.Module):
    """e g / sqrt(mean over channels of the sum over all components of e^2), g by channel.

    One number for all components and channels of an atom. It is smooth wherever any of them is not
    zero, which a scalar component can make sure of; a norm of vectors alone is singular where
    symmetry cancels them.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_features))

    def forward(self, values: Tensor) -> Tensor:
        """(N, M, F) to (N, M, F)."""
        squares = (values * values).sum(dim=(-2, -1), keepdim=True) / values.shape[-1]
        return values * self.gain * torch.rsqrt(squares + EQUIVARIANT_NORM_EPS)


class VectorReadout(nn.Module):
    """One vector per atom: a linear map of the channels of degree 1, with no bias.

    Parameters
    ----------
    num_features : int
    first : int
        Where the three components of degree 1 begin.
    """

    def __init__(self, num_features: int, first: int) -> None:
        super().__init__()
        self.final = dense(num_features, 1, bias=False)
        # Harmonics of degree 1 are ordered (y, z, x).
        self.axes = (first + 2, first, first + 1)

    def forward(self, values: Tensor) -> Tensor:
        """(N, M, F) to (N, 3)."""
        components: Tensor = self.final(values).squeeze(-1)
        return torch.stack([components[:, axis] for axis in self.axes], dim=-1)


class WhiteningNorm(nn.Module):
    """C^(-1/2) (v - mean) g of vectors v (3, F), with their mean and covariance C over channels.

    The norm of the paper, as in TorchMD-Net (Pelaez et al., J. Chem. Theory Comput. 20, 4076
    (2024)); 1e-5 is added to the diagonal of C. The root comes from the coupled Newton-Schulz
    iteration in float64, as the gradient of a singular value decomposition diverges where singular
    values are equal. It amplifies the smallest vectors a thousandfold: not for conservative
    potentials.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_features))

    def forward(self, values: Tensor) -> Tensor:
        """(N, 3, F) to (N, 3, F)."""
        centred = values - values.mean(dim=-1, keepdim=True)
        exact = centred.double()
        unit = torch.eye(3, dtype=torch.float64, device=values.device)
        covariance = exact @ exact.mT / values.shape[-1] + WHITENING_EPS * unit
        return (inverse_root(covariance) @ exact).to(values.dtype) * self.gain


def inverse_root(matrices: Tensor) -> Tensor:
    """C^(-1/2) of symmetric positive matrices (N, n, n), by the Newton-Schulz iteration.

    Higham, Functions of Matrices (2008), equation 6.35.
    """
    unit = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    trace = (matrices * unit).sum(dim=(-2, -1), keepdim=True)
    root, inverse = matrices / trace, unit.expand_as(matrices)
    for _ in range(WHITENING_STEPS):
        step = 1.5 * unit - 0.5 * (inverse @ root)
        root, inverse = root @ step, step @ inverse
    return inverse * torch.rsqrt(trace)
