"""The steerable expert of EST with its gradient written out, on features (M, N, C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class SteerableKept(NamedTuple):
    """What the gradient of a steerable expert needs."""

    both: Tensor
    mixed: Tensor
    scalars: Tensor
    gates: Tensor | None


class FrozenSteerable(NamedTuple):
    """Constants of a :class:`~.steerable.SteerableExpert`.

    Attributes
    ----------
    first, last : Tensor
        Maps of each component: (M, C, 2 H) and (M, H, C).
    first_bias, last_bias : Tensor or None
        Of the scalars.
    contraction : Tensor, shape (L, M - 1)
        Sums over the components of each degree above zero, weighed.
    mix, mix_bias : Tensor
        From invariants to scalars: ((L + 1) H, H) and (H,).
    gate, gate_bias : Tensor or None
        From scalars to gates: (H, L H) and (L H,).
    degrees : sequence of slice
        The components of the degrees 1 .. L.
    """

    first: Tensor
    first_bias: Tensor | None
    contraction: Tensor | None
    mix: Tensor
    mix_bias: Tensor
    gate: Tensor | None
    gate_bias: Tensor | None
    last: Tensor
    last_bias: Tensor | None
    degrees: Sequence[slice]

    def evaluate(self, values: Tensor) -> tuple[Tensor, SteerableKept]:
        """Normalised features (M, N, C) to their update, of the same shape."""
        both = torch.bmm(values, self.first)
        if self.first_bias is not None:
            both[0] += self.first_bias
        left, right = both.chunk(2, dim=2)
        components, atoms, hidden = left.shape
        invariants = left[0]
        if self.contraction is not None:
            products = (left[1:] * right[1:]).view(components - 1, -1)
            parts = (self.contraction @ products).view(-1, atoms, hidden)
            invariants = torch.cat([left[0], *parts], dim=1)
        mixed = torch.addmm(self.mix_bias, invariants, self.mix)
        scalars = torch.nn.functional.silu(mixed)
        gated = torch.empty_like(left, memory_format=torch.contiguous_format)
        gated[0] = scalars
        gates = None
        if self.gate is not None and self.gate_bias is not None:
            gates = torch.addmm(self.gate_bias, scalars, self.gate)
            for own, gate in zip(self.degrees, gates.split(hidden, dim=1), strict=True):
                torch.mul(left[own], gate, out=gated[own])
        update = torch.bmm(gated, self.last)
        if self.last_bias is not None:
            update[0] += self.last_bias
        return update, SteerableKept(both, mixed, scalars, gates)

    def gradient(self, kept: SteerableKept, slope: Tensor) -> Tensor:
        """From slopes (M, N, C) with respect to the update to those of the features."""
        by_gated = torch.bmm(slope, self.last.mT)
        by_scalars = by_gated[0]
        left, right = kept.both.chunk(2, dim=2)
        components, atoms, hidden = left.shape
        by_both = torch.empty_like(kept.both)
        by_left, by_right = by_both.chunk(2, dim=2)
        if kept.gates is not None and self.gate is not None:
            by_gates = []
            for own, gate in zip(self.degrees, kept.gates.split(hidden, dim=1), strict=True):
                by_gates.append((by_gated[own] * left[own]).sum(dim=0))
                torch.mul(by_gated[own], gate, out=by_left[own])
            by_scalars = torch.addmm(by_scalars, torch.cat(by_gates, dim=1), self.gate.T)
        by_mixed = torch.ops.aten.silu_backward(by_scalars, kept.mixed)
        by_invariants = by_mixed @ self.mix.T
        by_left[0] = by_invariants[:, :hidden]
        by_right[0] = 0.0
        if self.contraction is not None:
            # By degree first: (L, N H).
            by_parts = by_invariants[:, hidden:].view(atoms, -1, hidden).transpose(0, 1)
            by_products = self.contraction.T @ by_parts.reshape(-1, atoms * hidden)
            by_products = by_products.view(components - 1, atoms, hidden)
            by_left[1:].addcmul_(by_products, right[1:])
            torch.mul(by_products, left[1:], out=by_right[1:])
        return torch.bmm(by_both, self.first.mT)
