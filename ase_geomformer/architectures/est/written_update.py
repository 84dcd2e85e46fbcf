"""The update of EST on each atom with its gradient written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ase_geomformer.architectures.est.sphere.written import FrozenSphere, SphericalKept
from ase_geomformer.architectures.est.written_norm import FrozenNorm, NormKept
from ase_geomformer.architectures.est.written_steerable import FrozenSteerable, SteerableKept
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.unit_norm import UnitNorm
from ase_geomformer.layers.written_gradient import WrittenGradient


class UpdateWeights(FrozenWeights):
    """Constants of :class:`WrittenUpdate`.

    Attributes
    ----------
    norm : FrozenNorm
    steerable : FrozenSteerable or None
    sphere : FrozenSphere or None
    widths : list of int
        How the columns of ``of_scalars`` divide: hidden layer of the gate, constants of the
        spherical branch, factors of its expert.
    of_scalars, of_scalars_bias : Tensor
        From scalars without mean and of unit variance to these.
    logits, logits_bias : Tensor or None
        The last layer of the gate, where there are two experts.
    """

    norm: FrozenNorm
    steerable: FrozenSteerable | None
    sphere: FrozenSphere | None
    widths: list[int]
    of_scalars: Tensor
    of_scalars_bias: Tensor
    logits: Tensor | None
    logits_bias: Tensor | None
    eps: float


class Kept(NamedTuple):
    """What the gradient needs."""

    norm: NormKept
    scalars: UnitNorm | None
    hidden: Tensor | None
    active: Tensor | None
    logits: Tensor | None
    gates: Tensor | None
    sigmoid: Tensor | None
    steerable: SteerableKept | None
    steered: Tensor | None
    sphere: SphericalKept | None


@dataclass(frozen=True, eq=False)
class WrittenUpdate(WrittenGradient):
    """Features (N, M, C) with the update by experts, the norm before them included.

    Attributes
    ----------
    plain : callable
        The formula.
    packed : UpdateWeights
    """

    plain: Callable[..., Tensor]
    packed: UpdateWeights

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.plain(*inputs),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Kept]:
        (features,) = inputs
        packed = self.packed
        normal, of_norm = packed.norm.evaluate(features)
        values = normal.transpose(0, 1).contiguous()
        of_steerable = of_sphere = scalars = hidden = active = logits = gates = sigmoid = None
        steered = None
        if packed.sphere is not None:
            scalars = UnitNorm.of(values[0], packed.eps)
            hidden = torch.addmm(packed.of_scalars_bias, scalars.values, packed.of_scalars)
            of_gate, of_constants, of_factors = hidden.split(packed.widths, dim=1)
            factors = sigmoid = torch.sigmoid(of_factors)
            if packed.logits is not None and packed.logits_bias is not None:
                active = functional.silu(of_gate)
                logits = torch.addmm(packed.logits_bias, active, packed.logits)
                gates = torch.softmax(functional.silu(logits), dim=1)
                factors = sigmoid * gates[:, 1:]
            update, of_sphere = packed.sphere.evaluate(values, factors)
            update[0] += functional.silu(of_constants)
        if packed.steerable is not None:
            steered, of_steerable = packed.steerable.evaluate(values)
            if packed.sphere is None:
                update = steered
            elif gates is not None:
                update.addcmul_(steered, gates[:, :1])
        own = Kept(
            of_norm,
            scalars,
            hidden,
            active,
            logits,
            gates,
            sigmoid,
            of_steerable,
            steered,
            of_sphere,
        )
        return (features + update.transpose(0, 1),), own

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        packed, (slope,) = self.packed, slopes
        by_update = slope.transpose(0, 1).contiguous()
        by_steered = by_update if kept.gates is None else by_update * kept.gates[:, :1]
        by_values = None
        if packed.steerable is not None and kept.steerable is not None:
            by_values = packed.steerable.gradient(kept.steerable, by_steered)
        if packed.sphere is not None and kept.sphere is not None:
            of_sphere, by_factors = packed.sphere.gradient(kept.sphere, by_update)
            of_sphere[0] += self._scalars_gradient(kept, by_update, by_factors)
            by_values = of_sphere if by_values is None else by_values.add_(of_sphere)
        assert by_values is not None
        by_features = packed.norm.gradient(kept.norm, by_values.transpose(0, 1))
        return (by_features.add_(slope),)

    def _scalars_gradient(self, kept: Kept, by_update: Tensor, by_factors: Tensor) -> Tensor:
        """From slopes of update and factors to those (N, C) of scalars that weigh experts."""
        packed = self.packed
        assert kept.hidden is not None
        assert kept.scalars is not None
        assert kept.sigmoid is not None
        by_hidden = torch.empty_like(kept.hidden)
        _, of_constants, _ = kept.hidden.split(packed.widths, dim=1)
        by_gate, by_constants, by_last = by_hidden.split(packed.widths, dim=1)
        by_constants.copy_(torch.ops.aten.silu_backward(by_update[0], of_constants))
        by_sigmoid = by_factors
        if kept.gates is not None and packed.logits is not None and kept.steered is not None:
            by_gates = torch.empty_like(kept.gates)
            by_gates[:, 0] = (by_update * kept.steered).sum(dim=(0, 2))
            by_gates[:, 1] = (by_factors * kept.sigmoid).sum(dim=1)
            by_active = torch.ops.aten._softmax_backward_data(
                by_gates, kept.gates, 1, by_gates.dtype
            )
            by_logits = torch.ops.aten.silu_backward(by_active, kept.logits)
            of_gate = kept.hidden[:, : packed.widths[0]]
            by_gate.copy_(torch.ops.aten.silu_backward(by_logits @ packed.logits.T, of_gate))
            by_sigmoid = by_factors * kept.gates[:, 1:]
        by_last.copy_(torch.ops.aten.sigmoid_backward(by_sigmoid, kept.sigmoid))
        return kept.scalars.gradient(by_hidden @ packed.of_scalars.T)
