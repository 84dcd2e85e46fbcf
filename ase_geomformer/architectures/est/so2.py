"""Linear maps in the frame of an edge, which need commute only with turns about it.

Passaro and Zitnick, ICML 2023 (eSCN); Liao, Wood, Das, Smidt, ICLR 2024 (EquiformerV2). They mix
all degrees of one order |m| at the price of a matrix, where a tensor product would need
Clebsch-Gordan coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.written_attention import FrozenSO2
from ase_geomformer.layers.dense import dense


class SO2Linear(nn.Module):
    """One matrix per order |m| over degrees and channels; components as of ``to_frames``.

    The components +m and -m are the real and imaginary part of a complex number, and the matrices
    of m > 0 are complex in general. Their imaginary parts change sign in a mirror that contains
    the edge, so that without them the map keeps parity as well.

    Parameters
    ----------
    lmax, mmax : int
    in_channels, out_channels : int
    extra : int
        Further numbers to make of the components m = 0, which are invariant.
    parity : bool
        Leave the imaginary parts out.
    """

    def __init__(
        self,
        lmax: int,
        mmax: int,
        in_channels: int,
        out_channels: int,
        *,
        extra: int = 0,
        parity: bool = True,
    ) -> None:
        super().__init__()
        self.sizes = [lmax - m + 1 for m in range(mmax + 1)]
        self.out_channels = out_channels
        self.zero = dense(self.sizes[0] * in_channels, self.sizes[0] * out_channels + extra)

        def orders() -> nn.ModuleList:
            widths = [(n * in_channels, n * out_channels) for n in self.sizes[1:]]
            return nn.ModuleList([dense(*width, bias=False) for width in widths])

        self.real = orders()
        self.imaginary = None if parity else orders()
        self.scale = 1.0 if parity else math.sqrt(0.5)

    def frozen(self, extra: int) -> FrozenSO2:
        """The matrices joined, and with the ``extra`` numbers before the components m = 0."""
        columns = self.zero.weight.T.roll(extra, dims=1).contiguous()
        orders = [layer.weight.T.contiguous() for layer in self._linear(self.real)]
        if self.imaginary is not None:
            turns = [layer.weight.T for layer in self._linear(self.imaginary)]
            orders = [
                self.scale * torch.cat([torch.cat([one, other], 1), torch.cat([-other, one], 1)])
                for one, other in zip(orders, turns, strict=True)
            ]
        return FrozenSO2(columns, self.zero.bias.roll(extra), orders)

    @staticmethod
    def _linear(orders: nn.ModuleList) -> list[nn.Linear]:
        return [cast(nn.Linear, layer) for layer in orders]

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Blocks of :func:`to_frames` to such blocks, and extra numbers (E, extra)."""
        first, *pairs = features
        mixed = self.zero(first.flatten(1))
        kept = self.sizes[0] * self.out_channels
        of_zero, extra = mixed.split([kept, mixed.shape[1] - kept], dim=1)
        values = [of_zero.unflatten(1, (1, -1, self.out_channels))]
        for order, pair in enumerate(pairs):
            parts = pair.flatten(2).flatten(0, 1)
            turned = self.real[order](parts).unflatten(0, (pair.shape[0], 2))
            if self.imaginary is not None:
                plus, minus = (
                    self.imaginary[order](parts).unflatten(0, (pair.shape[0], 2)).unbind(1)
                )
                turned = self.scale * (turned + torch.stack([-minus, plus], dim=1))
            values.append(turned.unflatten(2, (-1, self.out_channels)))
        return values, extra
