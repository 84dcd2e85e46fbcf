"""What follows attention in a layer, with its gradient written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ase_geomformer.layers.activation import ACTIVATIONS, SLOPES
from ase_geomformer.layers.attention import Exchange
from ase_geomformer.layers.dense import LAYER_NORM_EPS, dense
from ase_geomformer.layers.harmonics import few_columns
from ase_geomformer.layers.written_gradient import WrittenGradient


class Step(nn.Module):
    """A function of features (N, F); this one gives them back as they are."""

    @property
    def weights(self) -> Sequence[Tensor]:
        return ()

    def forward(self, x: Tensor) -> Tensor:
        return x

    def evaluate(self, x: Tensor) -> tuple[Tensor, Any]:
        """The values, and what :meth:`gradient` wants to be given. Nothing is recorded."""
        return x, None

    def gradient(self, kept: Any, slopes: Tensor) -> Tensor:
        """Gradient with respect to the features, from that with respect to the values."""
        return slopes


class Norm(Step):
    """Features of each atom with mean zero and variance one, times a weight, plus a bias."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.weight, self.bias

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(
            x, self.weight.shape, self.weight, self.bias, LAYER_NORM_EPS
        )

    def evaluate(self, x: Tensor) -> tuple[Tensor, Any]:
        values, mean, inverse = torch.native_layer_norm(
            x, self.weight.shape, self.weight, self.bias, LAYER_NORM_EPS
        )
        return values, (x, mean, inverse)

    def gradient(self, kept: Any, slopes: Tensor) -> Tensor:
        x, mean, inverse = kept
        wanted = [True, False, False]
        shape = self.weight.shape
        by_x: Tensor = torch.ops.aten.native_layer_norm_backward(
            slopes, x, shape, mean, inverse, self.weight, self.bias, wanted
        )[0]
        return by_x


class ResidualNetwork(Step):
    """x + B a(A a(x))."""

    def __init__(self, num_features: int, activation: str) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.dense_1 = dense(num_features, num_features)
        self.dense_2 = dense(num_features, num_features)

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.dense_1.weight, self.dense_1.bias, self.dense_2.weight, self.dense_2.bias

    def forward(self, x: Tensor) -> Tensor:
        act = self.activation
        return x + self.dense_2(act(self.dense_1(act(x))))

    def evaluate(self, x: Tensor) -> tuple[Tensor, Any]:
        hidden = self.dense_1(self.activation(x))
        return self.dense_2(self.activation(hidden)).add_(x), (x, hidden)

    def gradient(self, kept: Any, slopes: Tensor) -> Tensor:
        x, hidden = kept
        slope = SLOPES[self.activation]
        by_hidden = slope(slopes @ self.dense_2.weight, hidden)
        return slope(by_hidden @ self.dense_1.weight, x) + slopes


@dataclass(frozen=True, eq=False)
class Update(WrittenGradient):
    """New x (N, F) and ev (N, M) from those before attention and what attention adds to them.

    Attributes
    ----------
    before, after : tuple of Step
        On x, before the exchange and after it.
    exchange : Exchange
    """

    before: tuple[Step, ...]
    exchange: Exchange
    after: tuple[Step, ...]

    @property
    def weights(self) -> Sequence[Tensor]:
        mix = self.exchange.mix
        own = [weight for step in (*self.before, *self.after) for weight in step.weights]
        return [mix.weight, mix.bias, *own]

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, ev, dx, dev = inputs
        x, ev = x + dx, ev + dev
        for step in self.before:
            x = step(x)
        dx, dev = self.exchange(x, ev)
        x = x + dx
        for step in self.after:
            x = step(x)
        return x, ev + dev

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        x, ev, dx, dev = inputs
        x, ev = x + dx, ev + dev
        before, after = [], []
        for step in self.before:
            x, kept = step.evaluate(x)
            before.append(kept)
        width, degree_sum = x.shape[1], self.exchange.degree_sum
        mixed = self.exchange.mix(torch.cat([x, degree_sum.invariants(ev)], dim=1))
        factors = mixed[:, width:] @ degree_sum.members.T + 1.0
        x = x + mixed[:, :width]
        for step in self.after:
            x, kept = step.evaluate(x)
            after.append(kept)
        return (x, ev * factors), (before, ev, factors, after)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        before, ev, factors, after = kept
        by_x, by_ev = slopes
        for step, own in zip(reversed(self.after), reversed(after), strict=True):
            by_x = step.gradient(own, by_x)
        degree_sum = self.exchange.degree_sum
        by_mixed = torch.cat([by_x, few_columns(by_ev * ev, degree_sum.members)], dim=1)
        by_joined = by_mixed @ self.exchange.mix.weight
        width = by_x.shape[1]
        by_x = by_x + by_joined[:, :width]
        by_ev = degree_sum.gradient(ev, by_joined[:, width:]).addcmul_(by_ev, factors)
        for step, own in zip(reversed(self.before), reversed(before), strict=True):
            by_x = step.gradient(own, by_x)
        return by_x, by_ev, by_x, by_ev
