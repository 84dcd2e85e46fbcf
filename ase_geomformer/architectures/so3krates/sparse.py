"""So3krates in its sparse generation, the one SO3LR is built on.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276); Frank, Unke, Müller, Chmiela, Nat. Commun.
15, 6539 (2024); Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025). Every atom carries invariant
features x (F,) and one channel of Euclidean variables ev (M,), M = sum of 2l+1. Attention between
neighbours, filtered by the distance and by how the neighbours' ev differ, updates both; no tensor
products are needed, which is what makes it fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.so3krates.readout import Further, PackedHeads, Readout
from ase_geomformer.architectures.so3krates.update import Norm, ResidualNetwork, Step, Update
from ase_geomformer.architectures.validation import (
    check_attention_widths,
    check_choices,
    check_numbers,
    keep_degrees,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.attention import Attention, Exchange, FilterNetwork
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.embedding import ElectronEmbedding, element_embedding
from ase_geomformer.layers.harmonics import DegreeSum, SphericalHarmonics
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.layers.readout import ChargeHead, EnergyHead, HirshfeldHead
from ase_geomformer.layers.written_gradient import is_by_formula
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class So3kratesSettings(Shown):
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
    charge_width, hirshfeld_width
        Hidden width of a head that predicts partial charges, that predicts Hirshfeld ratios, for
        energy terms that need them; None for no such head.
    """

    cutoff: float = ranged(5.0, 0, 1000, "Å", above=True)
    num_features: int = ranged(128, 1, 65_536)
    num_layers: int = ranged(3, 0, 1000)
    num_heads: int = ranged(4, 1, 4096)
    degrees: tuple[int, ...] = ranged((1, 2, 3, 4), 0, 64)
    radial_basis: str = "bernstein"
    num_radial_basis: int = ranged(32, 1, 10_000)
    cutoff_function: str = "quintic"
    message_normalization: Literal["sqrt_num_features", "avg_num_neighbors", "identity"] = (
        "avg_num_neighbors"
    )
    avg_num_neighbors: float | None = ranged(None, 0, 1e6, above=True)
    layer_norm_1: bool = True
    layer_norm_2: bool = True
    residual_mlp_1: bool = True
    residual_mlp_2: bool = False
    qk_activation: str = "identity"
    activation: str = "silu"
    energy_width: int | None = ranged(128, 1, 65_536)
    energy_activation: str = "silu"
    atomic_scales: bool = False
    atomic_shifts: bool = True
    charge_embedding: bool = False
    spin_embedding: bool = False
    charge_width: int | None = ranged(None, 1, 65_536)
    hirshfeld_width: int | None = ranged(None, 1, 65_536)

    def __post_init__(self) -> None:
        keep_degrees(self)
        check_numbers(self)
        check_choices(
            self, dict.fromkeys(("qk_activation", "activation", "energy_activation"), ACTIVATIONS)
        )
        check_attention_widths(self.num_features, self.num_heads, self.degrees)

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


def _filter_network(settings: So3kratesSettings) -> FilterNetwork:
    return FilterNetwork(
        settings.num_features,
        settings.num_radial_basis,
        len(settings.degrees),
        activation=settings.activation,
    )


class Layer(nn.Module):
    """Attention, then exchange, each with its optional residual network and normalisation."""

    def __init__(self, settings: So3kratesSettings, degree_sum: DegreeSum) -> None:
        super().__init__()
        width = settings.num_features
        self.attention = Attention(
            width,
            settings.num_heads,
            degree_sum,
            _filter_network(settings),
            _filter_network(settings),
            feature_norm=settings.normalizer(width // settings.num_heads),
            geometry_norm=settings.normalizer(width // len(settings.degrees)),
            qk_activation=settings.qk_activation,
        )
        self.exchange = Exchange(width, degree_sum)

        def norm(wanted: bool) -> Step:
            return Norm(width) if wanted else Step()

        def network(wanted: bool) -> Step:
            return ResidualNetwork(width, settings.activation) if wanted else Step()

        self.norm_1, self.network_1 = norm(settings.layer_norm_1), network(settings.residual_mlp_1)
        self.network_2, self.norm_2 = network(settings.residual_mlp_2), norm(settings.layer_norm_2)

    def forward(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        dx, dev = self.attention(x, ev, edges)
        before, after = (self.norm_1, self.network_1), (self.network_2, self.norm_2)
        x, ev = Update(before, self.exchange, after)(x, ev, dx, dev)
        return x, ev


class So3krates(Architecture, name="so3krates", settings=So3kratesSettings):
    """So3krates, sparse generation: per-atom energies from neighbours' geometry.

    Parameters
    ----------
    settings : So3kratesSettings
    """

    takes_pairs = True

    def __init__(self, settings: So3kratesSettings) -> None:
        super().__init__(settings)
        width = settings.num_features
        degree_sum = DegreeSum(settings.degrees)
        self.radial_basis = RADIAL_BASES[settings.radial_basis](
            settings.num_radial_basis, settings.cutoff
        )
        self.envelope = CUTOFFS[settings.cutoff_function]
        self.harmonics = SphericalHarmonics(settings.degrees)
        self.element_embedding = element_embedding(width)
        self.charge_embedding = ElectronEmbedding(width) if settings.charge_embedding else None
        self.spin_embedding = ElectronEmbedding(width) if settings.spin_embedding else None
        self.layers = nn.ModuleList(
            [Layer(settings, degree_sum) for _ in range(settings.num_layers)]
        )
        self.energy_head = EnergyHead(
            width,
            settings.energy_width,
            settings.energy_activation,
            scales=settings.atomic_scales,
            shifts=settings.atomic_shifts,
        )
        self._packed: PackedHeads | None = None
        # Heads of further outputs, by the name of what they give.
        self.heads = nn.ModuleDict()
        activation = settings.energy_activation
        if settings.charge_width is not None:
            self.heads["charges"] = ChargeHead(width, settings.charge_width, activation)
        if settings.hirshfeld_width is not None:
            self.heads["hirshfeld_ratios"] = HirshfeldHead(
                width, settings.hirshfeld_width, activation
            )

    @property
    def hops(self) -> int:
        return len(self.layers)

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("energies", *self.heads)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        x = self.embed(graph)
        edges = self.edge_features(graph)
        ev = x.new_zeros(graph.num_atoms, self.harmonics.dim)
        for layer in self.layers:
            x, ev = layer(x, ev, edges)
        readout = Readout(self.energy_head, self._further, self._packed_heads, graph)
        return dict(zip(self.outputs, readout(x), strict=True))

    @property
    def _further(self) -> tuple[Further, ...]:
        return tuple(cast(Further, head) for head in self.heads.values())

    @property
    def _packed_heads(self) -> PackedHeads | None:
        """The weights of the heads, joined where they are frozen and each has a hidden layer."""
        hidden = self.energy_head.hidden
        if hidden is None or hidden.weight.requires_grad or is_by_formula():
            return None
        if self._packed is None or not self._packed.is_current(hidden.weight):
            self._packed = PackedHeads((self.energy_head, *self._further))
        return self._packed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> So3krates:
        self._packed = None  # Another device or dtype.
        super()._apply(fn, recurse)
        return self

    def embed(self, graph: AtomGraph) -> Tensor:
        """Initial features (N, F): elements, and charge and spin where asked for."""
        x = self.element_embedding(graph.atomic_numbers)
        count = 1
        for embedding, total in (
            (self.charge_embedding, graph.charge),
            (self.spin_embedding, graph.spin - 1.0),
        ):
            if embedding is not None:
                count += 1
                x = x + embedding(graph, total)
        return x / math.sqrt(count)

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff and harmonics of every edge, common to all layers."""
        return Edges.of(graph, self.radial_basis, self.envelope, self.harmonics, self.cutoff)
