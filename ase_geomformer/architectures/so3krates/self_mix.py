"""Products of the degrees of Euclidean variables with each other, on the same atom."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from ase_geomformer.layers.couplings import wigner_3j


class SelfMix(nn.Module):
    """Mix the degrees of Euclidean variables: sum over l1 < l2 of k (ev_l1 x ev_l2)_L.

    Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276). The products are formed with
    real Clebsch-Gordan coefficients, see :func:`~ase_geomformer.layers.couplings.wigner_3j`.

    Parameters
    ----------
    degrees : sequence of int
        Degrees in the order in which their components are stored.
    parity : bool
        Keep only products with l1 + l2 + L even. The others turn sign under inversion where a
        degree of that order does not, so that invariance under reflections is lost.
    """

    coefficients: Tensor
    owner: Tensor

    def __init__(self, degrees: Sequence[int], *, parity: bool = True) -> None:
        super().__init__()
        sizes = torch.tensor([2 * l + 1 for l in degrees])
        owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("coefficients", _couplings(degrees, parity), persistent=False)
        num = len(degrees)
        # Indexed by the degree that results and the two that are multiplied.
        self.weight = nn.Parameter(0.1 * torch.randn(num, num, num))

    def forward(self, ev: Tensor) -> Tensor:
        """Euclidean variables (N, M) to their products (N, M)."""
        owner = self.owner
        weight = self.weight[owner][:, owner][:, :, owner] * self.coefficients
        products = (ev[:, :, None] * ev[:, None, :]).flatten(1)
        return products @ weight.flatten(1).T


def _couplings(degrees: Sequence[int], parity: bool) -> Tensor:
    """Coefficients (M, M, M) of component c in the product of components a and b: [c, a, b]."""
    ends = torch.tensor([2 * l + 1 for l in degrees]).cumsum(0).tolist()
    blocks = [slice(end - (2 * l + 1), end) for l, end in zip(degrees, ends, strict=True)]
    coefficients = torch.zeros(ends[-1], ends[-1], ends[-1], dtype=torch.float64)
    for first, second in combinations(range(len(degrees)), 2):
        for out, degree in enumerate(degrees):
            l1, l2 = degrees[first], degrees[second]
            if abs(l1 - l2) <= degree <= l1 + l2 and not (parity and (l1 + l2 + degree) % 2):
                symbols = wigner_3j(l1, l2, degree)
                coefficients[blocks[out], blocks[first], blocks[second]] = symbols.permute(2, 0, 1)
    return coefficients
