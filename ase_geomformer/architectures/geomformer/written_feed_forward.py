"""The feed-forward networks of GeoMFormer with their gradient written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.geomformer.written_norm import UnitStreams
from ase_geomformer.layers.activation import SLOPES
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.unit_norm import UnitNorm
from ase_geomformer.layers.written_gradient import WrittenGradient


class FeedForwardWeights(FrozenWeights):
    """Constants of :class:`WrittenFeedForward`; norms have no weights of their own.

    Attributes
    ----------
    eps, inner_eps : float
        Of the norms of x and of its hidden layer.
    hidden, hidden_bias : Tensor
        From x to its hidden layer, and to the gates of that of e: (F, W) or (F, 2 W).
    final, final_bias : Tensor
        From the hidden layer to the update of x: (W, F).
    lift, final_e : Tensor or None
        From e to its hidden layer, and to its update, component by component: (M, F, W), (M, W, F).
    """

    eps: float
    inner_eps: float
    hidden: Tensor
    hidden_bias: Tensor
    final: Tensor
    final_bias: Tensor
    lift: Tensor | None
    final_e: Tensor | None


class Kept(NamedTuple):
    """What the gradient needs."""

    unit: UnitNorm
    hidden: Tensor
    active: Tensor
    inner: UnitNorm
    unit_e: UnitStreams | None
    lifted: Tensor | None
    inner_e: UnitStreams | None


@dataclass(frozen=True, eq=False)
class WrittenFeedForward(WrittenGradient):
    """Streams x (N, F) and e (N, M, F) with what the networks add to them.

    Attributes
    ----------
    plain : callable
        The formula.
    packed : FeedForwardWeights
    activation : callable
    """

    plain: Callable[..., tuple[Tensor, Tensor]]
    packed: FeedForwardWeights
    activation: Callable[[Tensor], Tensor]

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.plain(*inputs)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Kept]:
        x, e = inputs
        packed = self.packed
        unit = UnitNorm.of(x, packed.eps)
        hidden = torch.addmm(packed.hidden_bias, unit.values, packed.hidden)
        active = self.activation(hidden)
        width = packed.final.shape[0]
        inner = UnitNorm.of(active[:, :width], packed.inner_eps)
        changed = torch.addmm(packed.final_bias, inner.values, packed.final).add_(x)
        if packed.lift is None or packed.final_e is None:
            own = Kept(unit, hidden, active, inner, None, None, None)
            return (changed, e.clone()), own
        rows = e.transpose(0, 1).contiguous()
        unit_e = UnitStreams.of(rows[:, :, None])
        lifted = torch.bmm(unit_e.values[:, :, 0], packed.lift)
        inner_e = UnitStreams.of((lifted * active[:, width:])[:, :, None])
        changed_e = torch.baddbmm(rows, inner_e.values[:, :, 0], packed.final_e)
        own = Kept(unit, hidden, active, inner, unit_e, lifted, inner_e)
        return (changed, changed_e.transpose(0, 1)), own

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        packed, (slope, slope_e) = self.packed, slopes
        width = packed.final.shape[0]
        by_active = torch.empty_like(kept.active)
        by_active[:, :width] = kept.inner.gradient(slope @ packed.final.T)
        by_e = slope_e
        if (
            packed.lift is not None
            and packed.final_e is not None
            and kept.unit_e is not None
            and kept.lifted is not None
            and kept.inner_e is not None
        ):
            rows = slope_e.transpose(0, 1).contiguous()
            by_inner = torch.bmm(rows, packed.final_e.mT)
            by_gated = kept.inner_e.gradient(by_inner[:, :, None])[:, :, 0]
            by_active[:, width:] = (by_gated * kept.lifted).sum(dim=0)
            by_unit = torch.bmm(by_gated.mul_(kept.active[:, width:]), packed.lift.mT)
            of_rows = kept.unit_e.gradient(by_unit[:, :, None])[:, :, 0]
            by_e = of_rows.add_(rows).transpose(0, 1)
        by_hidden = SLOPES[self.activation](by_active, kept.hidden)
        by_x = kept.unit.gradient(by_hidden @ packed.hidden.T).add_(slope)
        return by_x, by_e
