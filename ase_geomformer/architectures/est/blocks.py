"""The parts of a layer of EST: messages between neighbours, and the update on each atom."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.degree_linear import SteerableNorm
from ase_geomformer.architectures.est.filters import FilterMessages
from ase_geomformer.architectures.est.graph_attention import GraphAttention
from ase_geomformer.architectures.est.packing import update_weights
from ase_geomformer.architectures.est.settings import BRANCHES, EstSettings
from ase_geomformer.architectures.est.sphere.attention import SphericalBranch
from ase_geomformer.architectures.est.sphere.gate import InvariantGate
from ase_geomformer.architectures.est.steerable import SteerableExpert
from ase_geomformer.architectures.est.written_update import UpdateWeights, WrittenUpdate
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.frozen import FrozenModule


def filter_messages(settings: EstSettings) -> FilterMessages:
    """The module that ``messages="filters"`` asks for."""
    return FilterMessages(
        settings.lmax,
        settings.num_channels,
        settings.num_heads,
        num_radial_basis=settings.num_radial_basis,
        radial_width=settings.radial_width,
        norm=settings.normalizer,
    )


def graph_attention(settings: EstSettings) -> GraphAttention:
    """The module that ``messages="so2"`` asks for."""
    return GraphAttention(
        settings.lmax,
        settings.highest_order,
        settings.num_channels,
        settings.attention_width,
        settings.num_heads,
        num_radial_basis=settings.num_radial_basis,
        radial_width=settings.radial_width,
        parity=settings.parity,
    )


MESSAGES: dict[str, Callable[[EstSettings], FilterMessages | GraphAttention]] = {
    "filters": filter_messages,
    "so2": graph_attention,
}


class Update(FrozenModule[UpdateWeights]):
    """The mixture of experts on each atom: steerable ones, spherical ones, and their gate."""

    def __init__(self, settings: EstSettings) -> None:
        super().__init__()
        lmax, channels = settings.lmax, settings.num_channels
        wanted = BRANCHES[settings.branches]
        self.steerable = nn.ModuleList()
        if "steerable" in wanted:
            experts = [
                SteerableExpert(lmax, channels, settings.steerable_width)
                for _ in range(settings.experts)
            ]
            self.steerable.extend(experts)
        self.spherical = None
        if "spherical" in wanted:
            self.spherical = SphericalBranch(
                lmax,
                channels,
                kernel=settings.kernel,
                rule=settings.rule,
                degree=settings.degree,
                heads=settings.spherical_heads,
                experts=settings.experts,
                hidden=settings.spherical_width,
            )
        total = settings.experts * len(wanted)
        self.gate = InvariantGate(channels, total) if total > 1 else None
        self.can_freeze = settings.experts == 1 and (
            self.spherical is None or self.spherical.can_freeze
        )

    def added(self, features: Tensor, norm: SteerableNorm) -> Tensor:
        """Features (N, (L+1)^2, C) with their update, which reads them normalised."""
        plain = partial(self._plain, norm=norm)
        if not self.is_frozen or not self.can_freeze or not len(features):
            return plain(features)
        (added,) = WrittenUpdate(plain, self.packed(norm))(features)
        return added

    def _plain(self, features: Tensor, norm: SteerableNorm) -> Tensor:
        return features + self(norm(features))

    @property
    def first_weight(self) -> Tensor:
        return next(self.parameters())

    def pack(self, *others: nn.Module) -> UpdateWeights:
        return update_weights(self, *others)

    def forward(self, features: Tensor) -> Tensor:
        """Normalised features (N, (L+1)^2, C) to their update."""
        if self.gate is None:
            gates = features.new_ones(features.shape[0], 1)
        else:
            gates = self.gate(features)
        of_steerable = gates[:, : len(self.steerable)].unbind(dim=1)
        updates = [
            gate[:, None, None] * expert(features)
            for gate, expert in zip(of_steerable, self.steerable, strict=True)
        ]
        if self.spherical is not None:
            updates.append(self.spherical(features, gates[:, len(self.steerable) :]))
        return torch.stack(updates).sum(dim=0)


class Layer(nn.Module):
    """Messages, then the update on each atom; both read normalised features and add to them."""

    def __init__(self, settings: EstSettings) -> None:
        super().__init__()
        lmax, channels = settings.lmax, settings.num_channels
        self.norm_1, self.norm_2 = SteerableNorm(lmax, channels), SteerableNorm(lmax, channels)
        self.messages = MESSAGES[settings.messages](settings)
        self.update = Update(settings)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        features = self.messages.added(features, self.norm_1, edges)
        return self.update.added(features, self.norm_2)
