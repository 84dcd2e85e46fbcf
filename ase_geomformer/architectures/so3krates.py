"""So3krates in its sparse generation, the one SO3LR is built on.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276); Frank, Unke, Müller, Chmiela, Nat. Commun.
15, 6539 (2024); Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025). Every atom carries invariant
features x (F,) and one channel of Euclidean variables ev (M,), M = sum of 2l+1. Attention between
neighbours, filtered by the distance and by how the neighbours' ev differ, updates both; no tensor
products are needed, which is what makes it fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.graph import AtomGraph
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.dense import HeadLinear, dense
from ase_geomformer.layers.harmonics import (
    DegreeSum,
    SphericalHarmonics,
    distances_and_directions,
)
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.layers.segment import segment_sum

NUM_ELEMENTS = 119  # rows of a table indexed by atomic number, 0 .. 118
LAYER_NORM_EPS = 1e-6


@dataclass(frozen=True)
class So3kratesSettings:
    """Hyper-parameters of So3krates.

    Attributes
    ----------
    cutoff
        Radius in Å within which atoms attend to each other.
    num_features
        Width F of the invariant features; divisible by ``num_heads``, by the number of degrees
        and by 4.
    num_layers
        Number of layers; information travels ``num_layers * cutoff``.
    num_heads
        Attention heads of the invariant features.
    degrees
        Degrees l of the Euclidean variables, sorted, each with its own head.
    radial_basis
        ``bernstein``, ``physnet``, ``bessel`` or ``gaussian``.
    num_radial_basis
        Number K of radial basis functions.
    cutoff_function
        ``quintic`` and ``exponential`` keep forces smooth at the cutoff; ``cosine`` only
        continuous, with a jump in their slope.
    message_normalization
        What attention sums are divided by: ``sqrt_num_features`` the root of the head width,
        ``avg_num_neighbors`` that number, ``identity`` nothing.
    avg_num_neighbors
        Mean number of neighbours in the training set, for the normalisation of that name;
        the trainer measures it when it is left out.
    layer_norm_1, layer_norm_2
        Normalise x after attention, after the exchange.
    residual_mlp_1, residual_mlp_2
        A residual network on x after attention, after the exchange.
    qk_activation
        Activation of queries and keys.
    activation
        Activation of filters and residual networks.
    energy_width
        Hidden width of the energy head; None for one linear map.
    energy_activation
        Activation of the energy head.
    atomic_scales, atomic_shifts
        Learn a factor and an offset of the energy for each element.
    charge_embedding, spin_embedding
        Tell the atoms the total charge, the number of unpaired electrons.
    """

    cutoff: float = 5.0
    num_features: int = 128
    num_layers: int = 3
    num_heads: int = 4
    degrees: tuple[int, ...] = (1, 2, 3, 4)
    radial_basis: str = "bernstein"
    num_radial_basis: int = 32
    cutoff_function: str = "quintic"
    message_normalization: Literal["sqrt_num_features", "avg_num_neighbors", "identity"] = (
        "avg_num_neighbors"
    )
    avg_num_neighbors: float | None = None
    layer_norm_1: bool = True
    layer_norm_2: bool = True
    residual_mlp_1: bool = True
    residual_mlp_2: bool = False
    qk_activation: str = "identity"
    activation: str = "silu"
    energy_width: int | None = 128
    energy_activation: str = "silu"
    atomic_scales: bool = False
    atomic_shifts: bool = True
    charge_embedding: bool = False
    spin_embedding: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "degrees", tuple(self.degrees))
        choices: dict[str, dict[str, Any]] = {
            "radial_basis": RADIAL_BASES,
            "cutoff_function": CUTOFFS,
            "qk_activation": ACTIVATIONS,
            "activation": ACTIVATIONS,
            "energy_activation": ACTIVATIONS,
        }
        for name, table in choices.items():
            if getattr(self, name) not in table:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose from {sorted(table)}")
        if self.cutoff <= 0:
            raise ValueError(f"cutoff must be positive, not {self.cutoff} Å")
        if not self.degrees or list(self.degrees) != sorted(self.degrees) or self.degrees[0] < 0:
            raise ValueError(f"degrees must be sorted and not negative, not {self.degrees}")
        for divisor in (self.num_heads, len(self.degrees), 4):
            if self.num_features % divisor:
                raise ValueError(
                    f"num_features={self.num_features} must be divisible by num_heads="
                    f"{self.num_heads}, by the number of degrees ({len(self.degrees)}) and by 4"
                )

    def normalizer(self, head_width: int) -> float:
        """The constant that attention sums with heads of this width are divided by."""
        if self.message_normalization == "avg_num_neighbors":
            if self.avg_num_neighbors is None:
                raise ValueError(
                    "message_normalization='avg_num_neighbors' needs avg_num_neighbors: give the "
                    "mean number of neighbours within the cutoff in the training set"
                )
            return self.avg_num_neighbors
        return math.sqrt(head_width) if self.message_normalization == "sqrt_num_features" else 1.0


@dataclass(frozen=True)
class Edges:
    """What all layers read of the edges: indices (E,), basis (E, K), cutoff (E,), Y (E, M)."""

    receiver: Tensor
    sender: Tensor
    radial: Tensor
    envelope: Tensor
    harmonics: Tensor


class ElectronEmbedding(nn.Module):
    """Embedding (N, F) of a structure's charge or unpaired electrons, shared out by attention.

    Unke et al., SpookyNet, Nat. Commun. 12, 7273 (2021), as So3krates uses it: element queries
    weigh how much of the total each atom of the structure takes.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.query = nn.Embedding(NUM_ELEMENTS, num_features)
        self.key = nn.Embedding(2, num_features)
        self.value = nn.Embedding(2, num_features)
        self.dense_1 = dense(num_features, num_features, bias=False)
        self.dense_2 = dense(num_features, num_features, bias=False)

    def forward(self, graph: AtomGraph, total: Tensor) -> Tensor:
        """``total`` (B,) is the charge in e or the number of unpaired electrons."""
        silu = nn.functional.silu
        sign = (total < 0).long()[graph.batch]
        query, key = self.query(graph.atomic_numbers), self.key(sign)
        logits = (query * key).sum(dim=-1) / math.sqrt(query.shape[-1])
        weight = nn.functional.softplus(logits)
        norm = segment_sum(weight, graph.batch, graph.num_structures)
        share = (total / norm)[graph.batch] * weight
        taken = share[:, None] * self.value(sign)
        return taken + self.dense_2(silu(self.dense_1(silu(taken))))


class FilterNetwork(nn.Module):
    """Attention filter (E, F): one network of the radial basis plus one of the ev differences."""

    def __init__(self, settings: So3kratesSettings) -> None:
        super().__init__()
        width, num_degrees = settings.num_features, len(settings.degrees)
        self.activation = ACTIVATIONS[settings.activation]
        self.radial_1 = dense(settings.num_radial_basis, width)
        self.radial_2 = dense(width, width)
        self.spherical_1 = dense(num_degrees, width // 4)
        self.spherical_2 = dense(width // 4, width)

    def forward(self, radial: Tensor, invariants: Tensor) -> Tensor:
        act = self.activation
        return self.radial_2(act(self.radial_1(radial))) + self.spherical_2(
            act(self.spherical_1(invariants))
        )


class Attention(nn.Module):
    """Updates of x and ev by attention over neighbours, without softmax."""

    def __init__(self, settings: So3kratesSettings, degree_sum: DegreeSum) -> None:
        super().__init__()
        width, self.num_heads = settings.num_features, settings.num_heads
        self.num_degrees = len(settings.degrees)
        self.degree_sum = degree_sum
        self.qk_activation = ACTIVATIONS[settings.qk_activation]
        self.feature_filter = FilterNetwork(settings)
        self.geometry_filter = FilterNetwork(settings)
        self.feature_query = HeadLinear(width, self.num_heads)
        self.feature_key = HeadLinear(width, self.num_heads)
        self.feature_value = HeadLinear(width, self.num_heads)
        self.geometry_query = HeadLinear(width, self.num_degrees)
        self.geometry_key = HeadLinear(width, self.num_degrees)
        self.feature_norm = settings.normalizer(width // self.num_heads)
        self.geometry_norm = settings.normalizer(width // self.num_degrees)

    def forward(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        act = self.qk_activation
        at_receiver = torch.cat(
            [act(self.feature_query(x)), act(self.geometry_query(x)), ev], dim=-1
        )[edges.receiver]
        at_sender = torch.cat(
            [act(self.feature_key(x)), act(self.geometry_key(x)), self.feature_value(x), ev], dim=-1
        )[edges.sender]
        width, components = x.shape[-1], ev.shape[-1]
        query_x, query_ev, ev_i = at_receiver.split([width, width, components], dim=-1)
        key_x, key_ev, value, ev_j = at_sender.split([width, width, width, components], dim=-1)

        invariants = self.degree_sum.invariants(ev_j - ev_i)
        filter_x = self.feature_filter(edges.radial, invariants)
        filter_ev = self.geometry_filter(edges.radial, invariants)
        envelope = edges.envelope[:, None]
        alpha_x = _head_sum(query_x * filter_x * key_x, self.num_heads) * (
            envelope / self.feature_norm
        )
        alpha_ev = _head_sum(query_ev * filter_ev * key_ev, self.num_degrees) * (
            envelope / self.geometry_norm
        )
        message_x = (value.unflatten(-1, (self.num_heads, -1)) * alpha_x[..., None]).flatten(-2)
        message_ev = self.degree_sum.spread(alpha_ev) * edges.harmonics
        update = segment_sum(torch.cat([message_x, message_ev], -1), edges.receiver, x.shape[0])
        return update[:, :width], update[:, width:]


def _head_sum(values: Tensor, num_heads: int) -> Tensor:
    """Sum each of ``num_heads`` contiguous blocks of the feature axis: (E, F) to (E, heads)."""
    return values.unflatten(-1, (num_heads, -1)).sum(dim=-1)


class Exchange(nn.Module):
    """Exchange between x and the invariants of ev on each atom, through one linear map."""

    def __init__(self, settings: So3kratesSettings, degree_sum: DegreeSum) -> None:
        super().__init__()
        width = settings.num_features + len(settings.degrees)
        self.degree_sum = degree_sum
        self.mix = dense(width, width)

    def forward(self, x: Tensor, ev: Tensor) -> tuple[Tensor, Tensor]:
        mixed = self.mix(torch.cat([x, self.degree_sum.invariants(ev)], dim=-1))
        width = x.shape[-1]
        return mixed[:, :width], self.degree_sum.spread(mixed[:, width:]) * ev


class ResidualNetwork(nn.Module):
    """x + B a(A a(x))."""

    def __init__(self, settings: So3kratesSettings) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[settings.activation]
        self.dense_1 = dense(settings.num_features, settings.num_features)
        self.dense_2 = dense(settings.num_features, settings.num_features)

    def forward(self, x: Tensor) -> Tensor:
        act = self.activation
        return x + self.dense_2(act(self.dense_1(act(x))))


class Layer(nn.Module):
    """Attention, then exchange, each with its optional residual network and normalisation."""

    def __init__(self, settings: So3kratesSettings, degree_sum: DegreeSum) -> None:
        super().__init__()
        self.attention = Attention(settings, degree_sum)
        self.exchange = Exchange(settings, degree_sum)

        def norm(wanted: bool) -> nn.Module:
            return (
                nn.LayerNorm(settings.num_features, eps=LAYER_NORM_EPS) if wanted else nn.Identity()
            )

        def network(wanted: bool) -> nn.Module:
            return ResidualNetwork(settings) if wanted else nn.Identity()

        self.norm_1, self.network_1 = norm(settings.layer_norm_1), network(settings.residual_mlp_1)
        self.network_2, self.norm_2 = network(settings.residual_mlp_2), norm(settings.layer_norm_2)

    def forward(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        dx, dev = self.attention(x, ev, edges)
        x, ev = self.network_1(self.norm_1(x + dx)), ev + dev
        dx, dev = self.exchange(x, ev)
        return self.norm_2(self.network_2(x + dx)), ev + dev


class EnergyHead(nn.Module):
    """Energy of each atom (N,) from its features, with optional scales and shifts per element."""

    def __init__(self, settings: So3kratesSettings) -> None:
        super().__init__()
        width, hidden = settings.num_features, settings.energy_width
        self.activation = ACTIVATIONS[settings.energy_activation]
        self.hidden = dense(width, hidden) if hidden else None
        self.final = dense(hidden or width, 1)
        self.scales = nn.Parameter(torch.ones(NUM_ELEMENTS)) if settings.atomic_scales else None
        self.shifts = nn.Parameter(torch.zeros(NUM_ELEMENTS)) if settings.atomic_shifts else None

    def forward(self, x: Tensor, atomic_numbers: Tensor) -> Tensor:
        if self.hidden is not None:
            x = self.activation(self.hidden(x))
        energies = self.final(x).squeeze(-1)
        if self.scales is not None:
            energies = energies * self.scales[atomic_numbers]
        if self.shifts is not None:
            energies = energies + self.shifts[atomic_numbers]
        return energies


class So3krates(Architecture, name="so3krates", settings=So3kratesSettings):
    """So3krates, sparse generation: per-atom energies from neighbours' geometry.

    Parameters
    ----------
    settings : So3kratesSettings
    """

    def __init__(self, settings: So3kratesSettings) -> None:
        super().__init__(settings)
        width = settings.num_features
        degree_sum = DegreeSum(settings.degrees)
        self.radial_basis = RADIAL_BASES[settings.radial_basis](
            settings.num_radial_basis, settings.cutoff
        )
        self.envelope = CUTOFFS[settings.cutoff_function]
        self.harmonics = SphericalHarmonics(settings.degrees)
        self.element_embedding = nn.Embedding(NUM_ELEMENTS, width)
        nn.init.normal_(self.element_embedding.weight, std=1.0 / math.sqrt(width))
        self.charge_embedding = ElectronEmbedding(width) if settings.charge_embedding else None
        self.spin_embedding = ElectronEmbedding(width) if settings.spin_embedding else None
        self.layers = nn.ModuleList(
            [Layer(settings, degree_sum) for _ in range(settings.num_layers)]
        )
        self.energy_head = EnergyHead(settings)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        x = self.embed(graph)
        edges = self.edge_features(graph)
        ev = x.new_zeros(graph.num_atoms, self.harmonics.dim)
        for layer in self.layers:
            x, ev = layer(x, ev, edges)
        return {"energies": self.energy_head(x, graph.atomic_numbers)}

    def embed(self, graph: AtomGraph) -> Tensor:
        """Initial features (N, F): elements, and charge and spin where asked for."""
        parts = [self.element_embedding(graph.atomic_numbers)]
        if self.charge_embedding is not None:
            parts.append(self.charge_embedding(graph, graph.charge))
        if self.spin_embedding is not None:
            parts.append(self.spin_embedding(graph, graph.spin - 1.0))
        return torch.stack(parts).sum(dim=0) / math.sqrt(len(parts))

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff and harmonics of every edge, common to all layers."""
        distances, directions = distances_and_directions(graph.edge_vectors)
        return Edges(
            receiver=graph.edge_index[0],
            sender=graph.edge_index[1],
            radial=self.radial_basis(distances),
            envelope=self.envelope(distances, self.cutoff),
            harmonics=self.harmonics(directions),
        )
