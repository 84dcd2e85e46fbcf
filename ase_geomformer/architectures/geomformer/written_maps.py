"""Linear maps of an equivariant stream, one product for each degree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class DegreeMaps(NamedTuple):
    """Matrices (in, out) of each degree, for features (M, N, in).

    Wide maps take half the time so: one matrix for each component would not fit into the cache.

    Attributes
    ----------
    sizes : sequence of int
        Components of the degrees in their order.
    matrices : sequence of Tensor
    """

    sizes: Sequence[int]
    matrices: Sequence[Tensor]

    def mapped(self, features: Tensor) -> Tensor:
        """Features (M, N, in), contiguous, to (M, N, out)."""
        return self._products(features, self.matrices)

    def gradient(self, slope: Tensor) -> Tensor:
        """From slopes (M, N, out), contiguous, to (M, N, in)."""
        return self._products(slope, [matrix.T for matrix in self.matrices])

    def _products(self, features: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        components, atoms, width = features.shape
        values = features.new_empty(components * atoms, matrices[0].shape[1])
        sizes = [size * atoms for size in self.sizes]
        parts = zip(
            features.view(-1, width).split(sizes), values.split(sizes), matrices, strict=True
        )
        for rows, out, matrix in parts:
            torch.mm(rows, matrix, out=out)
        return values.view(components, atoms, -1)
