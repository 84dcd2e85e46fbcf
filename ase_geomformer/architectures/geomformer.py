"""GeoMFormer as a conservative potential: two streams that attend to themselves and each other.

Chen et al., GeoMFormer, ICML 2024 (arXiv 2406.16853); the periodic form with a smooth cutoff is
that of MatterSim-MT (arXiv 2605.07927). Atoms carry invariant features x (N, F) and equivariant
ones e (N, M, F) of a scalar and a vector, M = 4, or of more degrees. The scalar among them keeps e
away from zero where symmetry cancels all vectors; without it a normalised stream has no force
constants there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.geomformer_blocks import Block
from ase_geomformer.architectures.validation import check_choices, check_neighbourhood
from ase_geomformer.graph import AtomGraph
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.attention import Edges
from ase_geomformer.layers.cross_attention import Streams
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.dense import LAYER_NORM_EPS, dense
from ase_geomformer.layers.embedding import NUM_ELEMENTS, element_embedding
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.layers.readout import ChargeHead, EnergyHead
from ase_geomformer.layers.segment import gather, segment_sum

SELF_ATTENTION = ("invariant_self", "equivariant_self")
CROSS_ATTENTION = {
    "off": (),
    "invariant": ("invariant_cross",),
    "equivariant": ("equivariant_cross",),
    "both": ("invariant_cross", "equivariant_cross"),
}

SIZES: dict[str, dict[str, Any]] = {
    "1M": {"num_features": 128, "num_blocks": 2, "num_heads": 8, "layout": "alternating"},
    "10M": {"num_features": 320, "num_blocks": 3, "num_heads": 16, "layout": "alternating"},
}
"""Settings of the published sizes of MatterSim-MT, by name."""


@dataclass(frozen=True)
class GeoMFormerSettings:
    """Hyper-parameters of GeoMFormer; the defaults suit one family of molecules.

    Attributes
    ----------
    cutoff
        Radius in Å within which atoms attend to each other.
    num_features
        Width F of both streams; divisible by ``num_heads``.
    num_blocks
        Number of blocks, each with all attention modules and feed-forward networks.
    num_heads
        Attention heads of each module.
    ffn_width
        Hidden width of the feed-forward networks; F by default.
    layout
        ``parallel``, self- and cross-attention side by side as in the figure of the paper;
        ``alternating``, cross-attention after self-attention, with networks after each.
    cross_attention
        Which streams ask the other one: ``both``, only the ``invariant`` or the ``equivariant``
        one, or ``off``.
    max_degree
        Highest degree l of the equivariant stream, at least 1.
    degree_weights
        Matrices of their own for each degree; otherwise all degrees share them.
    inner_norm
        Normalise what attention and activations give before the map that follows.
    distance_bias
        Add a function of the distance to the logits.
    edge_values
        Multiply values by a function of the distance.
    directional_messages
        Send directions of edges along with the equivariant self-attention.
    logit_bound
        Logits, and biases added to them, stay below it.
    radial_basis
        ``bernstein``, ``physnet``, ``bessel`` or ``gaussian``.
    num_radial_basis
        Number K of radial basis functions.
    cutoff_function
        ``quintic``, that of the paper, and ``exponential`` keep forces smooth at the cutoff;
        ``cosine`` only continuous, with a jump in their slope.
    activation
        Of the feed-forward networks and heads.
    energy_width
        Hidden width of the energy head; None for one linear map.
    atomic_shifts
        Learn an offset of the energy for each element.
    charge_width
        Hidden width of a head that predicts partial charges; None for no such head.
    """

    cutoff: float = 5.0
    num_features: int = 64
    num_blocks: int = 3
    num_heads: int = 8
    ffn_width: int | None = None
    layout: Literal["parallel", "alternating"] = "parallel"
    cross_attention: Literal["off", "invariant", "equivariant", "both"] = "both"
    max_degree: int = 1
    degree_weights: bool = False
    inner_norm: bool = True
    distance_bias: bool = True
    edge_values: bool = True
    directional_messages: bool = True
    logit_bound: float = 8.0
    radial_basis: str = "bernstein"
    num_radial_basis: int = 32
    cutoff_function: str = "quintic"
    activation: str = "silu"
    energy_width: int | None = 64
    atomic_shifts: bool = True
    charge_width: int | None = None

    def __post_init__(self) -> None:
        check_neighbourhood(self)
        check_choices(
            self,
            {
                "activation": ACTIVATIONS,
                "cross_attention": CROSS_ATTENTION,
                "layout": dict.fromkeys(("parallel", "alternating")),
            },
        )
        if self.num_features % self.num_heads:
            raise ValueError(
                f"num_features={self.num_features} must be divisible by num_heads={self.num_heads}"
            )
        if self.max_degree < 1 or self.num_blocks < 1:
            raise ValueError(
                f"max_degree and num_blocks must be at least 1, not {self.max_degree} and "
                f"{self.num_blocks}"
            )
        if not 0.0 < self.logit_bound <= 20.0:
            raise ValueError(f"logit_bound must be in (0, 20], not {self.logit_bound}")

    @property
    def streams(self) -> Streams:
        """Shapes and layers of the two streams."""
        degrees = tuple(range(self.max_degree + 1))
        return Streams(self.num_features, degrees, self.degree_weights, self.inner_norm)

    @property
    def modules_by_layer(self) -> list[tuple[str, ...]]:
        """Names of the attention modules of every layer."""
        cross = CROSS_ATTENTION[self.cross_attention]
        if self.layout == "parallel":
            return [SELF_ATTENTION + cross] * self.num_blocks
        return [SELF_ATTENTION, cross] * self.num_blocks


class InitialStreams(nn.Module):
    """Both streams before the first block: elements, and densities of the neighbours.

    The density of degree l is the sum over neighbours of m_ij Y_ij (x) (A phi_ij * s_j), with the
    cutoff function m, harmonics Y, radial basis phi and a factor s by element, one at the start.
    Degree 0 enters x as well. Constants by element in x and in the scalar of e keep both away from
    zero for an atom alone.
    """

    def __init__(self, settings: GeoMFormerSettings, streams: Streams) -> None:
        super().__init__()
        width = settings.num_features
        self.elements_x, self.elements_e = element_embedding(width), element_embedding(width)
        self.sender = nn.Embedding(NUM_ELEMENTS, width)
        nn.init.ones_(self.sender.weight)
        self.radial = dense(settings.num_radial_basis, width, bias=False)
        self.density_x = streams.maps_x(1)
        self.density_e = streams.maps_e(1)

    def forward(self, numbers: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        sent = self.radial(edges.radial) * gather(self.sender(numbers), edges.sender)
        sent = sent * edges.envelope[:, None]
        by_component = edges.harmonics[:, :, None] * sent[:, None]
        density = segment_sum(by_component, edges.receiver, numbers.shape[0])
        (x,), (e,) = self.density_x(density[:, 0]), self.density_e(density)
        scalar = torch.cat([self.elements_e(numbers)[:, None], torch.zeros_like(e[:, 1:])], dim=1)
        return self.elements_x(numbers) + x, scalar + e


class GeoMFormer(Architecture, name="geomformer", settings=GeoMFormerSettings):
    """GeoMFormer: per-atom energies from neighbours' geometry.

    Parameters
    ----------
    settings : GeoMFormerSettings
    """

    settings: GeoMFormerSettings

    def __init__(self, settings: GeoMFormerSettings) -> None:
        super().__init__(settings)
        width, streams = settings.num_features, settings.streams
        self.radial_basis = RADIAL_BASES[settings.radial_basis](
            settings.num_radial_basis, settings.cutoff
        )
        self.envelope = CUTOFFS[settings.cutoff_function]
        self.harmonics = SphericalHarmonics(streams.degrees)
        self.initial = InitialStreams(settings, streams)
        names = settings.modules_by_layer
        self.blocks = nn.ModuleList(
            [
                Block(settings, streams, modules, last=index == len(names) - 1)
                for index, modules in enumerate(names)
            ]
        )
        self.final_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.energy_head = EnergyHead(
            width, settings.energy_width, settings.activation, shifts=settings.atomic_shifts
        )
        # Heads of further outputs, by the name of what they give.
        self.heads = nn.ModuleDict()
        if settings.charge_width is not None:
            self.heads["charges"] = ChargeHead(width, settings.charge_width, settings.activation)

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("energies", *self.heads)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        edges = self.edge_features(graph)
        x, e = self.initial(graph.atomic_numbers, edges)
        for block in self.blocks:
            x, e = block(x, e, edges)
        x = self.final_norm(x)
        further = {name: head(x, graph) for name, head in self.heads.items()}
        return {"energies": self.energy_head(x, graph.atomic_numbers), **further}

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff and harmonics of every edge, common to all blocks.

        Harmonics are scaled to a mean square of one per component: (1, sqrt(3) u, ...).
        """
        distances, directions = distances_and_directions(graph.edge_vectors)
        receiver, sender = graph.edge_index
        return Edges(
            receiver=receiver,
            sender=sender,
            radial=self.radial_basis(distances),
            envelope=self.envelope(distances, self.cutoff),
            harmonics=math.sqrt(4.0 * math.pi) * self.harmonics(directions),
        )
