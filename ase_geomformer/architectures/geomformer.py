"""GeoMFormer as a conservative potential: two streams that attend to themselves and each other.

Chen et al., GeoMFormer, ICML 2024 (arXiv 2406.16853); the periodic form with a smooth cutoff is
that of MatterSim-MT (arXiv 2605.07927). Atoms carry invariant features x (N, F) and equivariant
ones e (N, M, F) of a scalar and a vector, M = 4, or of more degrees. The scalar among them keeps e
away from zero where symmetry cancels all vectors; without it a normalised stream has no force
constants there.

The form of the paper is for molecules: all atoms attend to each other, e holds vectors only,
starts from the atom's place relative to the centre and is whitened. It has no usable gradient, so
that forces are then predicted directly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
from ase_geomformer.layers.equivariant import VectorReadout
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

CHOICES: dict[str, dict[str, Any]] = {
    "activation": dict(ACTIVATIONS),
    "attention": dict.fromkeys(("neighbours", "all-pairs")),
    "cross_attention": dict(CROSS_ATTENTION),
    "equivariant_norm": dict.fromkeys(("joint", "whitening")),
    "forces": dict.fromkeys(("gradient", "direct")),
    "initial_vectors": dict.fromkeys(("neighbours", "centred")),
    "layout": dict.fromkeys(("parallel", "alternating")),
}

# Measured on an fcc crystal with one atom displaced by u: -F/u is constant with a scalar in e.
NOT_CONSERVATIVE: dict[str, tuple[Any, str]] = {
    "scalar_component": (
        False,
        "where symmetry cancels all vectors, their norm amplifies the smallest displacement, and "
        "there are no force constants",
    ),
    "equivariant_norm": (
        "whitening",
        "where symmetry cancels vectors it amplifies the smallest displacement, and there are no "
        "force constants",
    ),
    "initial_vectors": (
        "centred",
        "the direction from the centre jumps as an atom moves through it, and a crystal has none",
    ),
}
"""Choices without a usable gradient, with the reason."""

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
        Radius in Å within which atoms attend to each other, and length of the radial basis.
    attention
        ``neighbours`` within the cutoff; ``all-pairs`` of a molecule, however far apart.
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
    scalar_component
        Whether the equivariant stream holds scalars beside its vectors. The paper's does not,
        which a conservative potential cannot do without.
    degree_weights
        Matrices of their own for each degree; otherwise all degrees share them.
    equivariant_norm
        ``joint``, one root mean square of all components; ``whitening``, the paper's, by the
        covariance of vectors, not for conservative potentials.
    initial_vectors
        ``neighbours``, sums over them; ``centred``, the paper's, directions from the centre of
        the molecule, not for conservative potentials.
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
    forces
        ``gradient`` of the energy; ``direct``, predicted from the equivariant stream, which costs
        less and does not conserve energy.
    charge_width
        Hidden width of a head that predicts partial charges; None for no such head.
    """

    cutoff: float = 5.0
    attention: Literal["neighbours", "all-pairs"] = "neighbours"
    num_features: int = 64
    num_blocks: int = 3
    num_heads: int = 8
    ffn_width: int | None = None
    layout: Literal["parallel", "alternating"] = "parallel"
    cross_attention: Literal["off", "invariant", "equivariant", "both"] = "both"
    max_degree: int = 1
    scalar_component: bool = True
    degree_weights: bool = False
    equivariant_norm: Literal["joint", "whitening"] = "joint"
    initial_vectors: Literal["neighbours", "centred"] = "neighbours"
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
    forces: Literal["gradient", "direct"] = "gradient"
    charge_width: int | None = None

    def __post_init__(self) -> None:
        check_neighbourhood(self)
        check_choices(self, CHOICES)
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
        check_combination(self)

    @property
    def degrees(self) -> tuple[int, ...]:
        """Degrees of the components of the equivariant stream."""
        return tuple(range(0 if self.scalar_component else 1, self.max_degree + 1))

    @property
    def streams(self) -> Streams:
        """Shapes and layers of the two streams."""
        return Streams(
            self.num_features,
            self.degrees,
            self.degree_weights,
            self.inner_norm,
            self.equivariant_norm == "whitening",
        )

    @property
    def modules_by_layer(self) -> list[tuple[str, ...]]:
        """Names of the attention modules of every layer."""
        cross = CROSS_ATTENTION[self.cross_attention]
        if self.layout == "parallel":
            return [SELF_ATTENTION + cross] * self.num_blocks
        return [SELF_ATTENTION, cross] * self.num_blocks


def check_combination(settings: GeoMFormerSettings) -> None:
    """Raise ValueError where choices do not go together, with the reason."""
    if settings.forces == "gradient":
        for name, (value, reason) in NOT_CONSERVATIVE.items():
            if getattr(settings, name) == value:
                raise ValueError(
                    f"{name}={value!r} cannot give forces as a gradient: {reason}; "
                    "use forces='direct'"
                )
    if not settings.scalar_component and settings.max_degree > 1:
        raise ValueError("scalar_component=False leaves vectors only: max_degree must be 1")
    if settings.equivariant_norm == "whitening" and settings.scalar_component:
        raise ValueError("equivariant_norm='whitening' is for scalar_component=False")
    if settings.initial_vectors == "centred" and settings.attention != "all-pairs":
        raise ValueError("initial_vectors='centred' needs attention='all-pairs' to find the centre")


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
        self.scalar_component = settings.scalar_component
        self.elements_x = element_embedding(width)
        self.elements_e = element_embedding(width) if settings.scalar_component else None
        self.sender = nn.Embedding(NUM_ELEMENTS, width)
        nn.init.ones_(self.sender.weight)
        self.radial = dense(settings.num_radial_basis, width, bias=False)
        self.density_x = streams.maps_x(1)
        self.density_e = streams.maps_e(1)

    def forward(self, numbers: Tensor, edges: Edges, centred: Edges) -> tuple[Tensor, Tensor]:
        """``centred`` are what e is made from: the edges, or one from each atom to the centre."""
        x = self._density(numbers, edges, torch.ones_like(edges.harmonics[:, :1]))
        (x,) = self.density_x(x[:, 0])
        (e,) = self.density_e(self._density(numbers, centred, centred.harmonics))
        if self.elements_e is not None:
            e = torch.cat([e[:, :1] + self.elements_e(numbers)[:, None], e[:, 1:]], dim=1)
        return self.elements_x(numbers) + x, e

    def _density(self, numbers: Tensor, edges: Edges, harmonics: Tensor) -> Tensor:
        """Sum over neighbours of harmonics (E, M) times filtered distances: (N, M, F)."""
        sent = self.radial(edges.radial) * gather(self.sender(numbers), edges.sender)
        sent = sent * edges.envelope[:, None]
        return segment_sum(harmonics[:, :, None] * sent[:, None], edges.receiver, len(numbers))


class GeoMFormer(Architecture, name="geomformer", settings=GeoMFormerSettings):
    """GeoMFormer: per-atom energies from neighbours' geometry.

    Parameters
    ----------
    settings : GeoMFormerSettings
    """

    settings: GeoMFormerSettings

    def __init__(self, settings: GeoMFormerSettings) -> None:
        super().__init__(settings)
        width, streams, direct = (
            settings.num_features,
            settings.streams,
            settings.forces == "direct",
        )
        self.radial_basis = RADIAL_BASES[settings.radial_basis](
            settings.num_radial_basis, settings.cutoff
        )
        self.envelope = CUTOFFS[settings.cutoff_function]
        self.harmonics = SphericalHarmonics(streams.degrees)
        self.initial = InitialStreams(settings, streams)
        names = settings.modules_by_layer
        # Energies read x alone, which leaves the last update of e to direct forces.
        self.blocks = nn.ModuleList(
            [
                Block(settings, streams, modules, last=index == len(names) - 1 and not direct)
                for index, modules in enumerate(names)
            ]
        )
        self.final_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.energy_head = EnergyHead(
            width, settings.energy_width, settings.activation, shifts=settings.atomic_shifts
        )
        self.charge_head = None
        if settings.charge_width is not None:
            self.charge_head = ChargeHead(width, settings.charge_width, settings.activation)
        self.force_norm = streams.norm_e() if direct else None
        self.force_head = VectorReadout(width, int(settings.scalar_component)) if direct else None

    @property
    def far_cutoff(self) -> float:
        return math.inf if self.settings.attention == "all-pairs" else 0.0

    @property
    def outputs(self) -> tuple[str, ...]:
        heads = {"charges": self.charge_head, "direct_forces": self.force_head}
        return ("energies", *(name for name, head in heads.items() if head is not None))

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        edges = self.edge_features(graph)
        centred = edges
        if self.settings.initial_vectors == "centred":
            centred = self.centre_features(graph)
        x, e = self.initial(graph.atomic_numbers, edges, centred)
        for block in self.blocks:
            x, e = block(x, e, edges)
        x = self.final_norm(x)
        outputs = {"energies": self.energy_head(x, graph.atomic_numbers)}
        if self.charge_head is not None:
            outputs["charges"] = self.charge_head(x, graph)
        if self.force_norm is not None and self.force_head is not None:
            outputs["direct_forces"] = self.force_head(self.force_norm(e))
        return outputs

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff and harmonics of every edge, common to all blocks."""
        if self.settings.attention == "neighbours":
            return self._expand(graph.edge_index, graph.edge_vectors)
        index, vectors = _both_ways(graph)
        edges = self._expand(index, vectors)
        # Pairs of an atom with itself only fill up padded graphs.
        there = (edges.receiver != edges.sender).to(vectors.dtype)
        return replace(edges, envelope=there)

    def centre_features(self, graph: AtomGraph) -> Edges:
        """The same of one edge for each atom, from it to the mean place of its structure."""
        index, vectors = _both_ways(graph)
        ones = torch.ones_like(graph.batch, dtype=vectors.dtype)
        sizes = segment_sum(ones, graph.batch, graph.num_structures)[graph.batch]
        to_centre = segment_sum(vectors, index[0], graph.num_atoms) / sizes[:, None]
        atoms = torch.arange(graph.num_atoms, device=vectors.device)
        edges = self._expand(torch.stack([atoms, atoms]), to_centre)
        return replace(edges, envelope=ones)

    def _expand(self, index: Tensor, vectors: Tensor) -> Edges:
        """Harmonics are scaled to a mean square of one per component: (1, sqrt(3) u, ...)."""
        distances, directions = distances_and_directions(vectors)
        return Edges(
            receiver=index[0],
            sender=index[1],
            radial=self.radial_basis(distances),
            envelope=self.envelope(distances, self.cutoff),
            harmonics=math.sqrt(4.0 * math.pi) * self.harmonics(directions),
        )


def _both_ways(graph: AtomGraph) -> tuple[Tensor, Tensor]:
    """Index (2, 2 P) and vectors (2 P, 3) of all pairs, from either atom to the other."""
    index = torch.cat([graph.far_index, graph.far_index.flip(0)], dim=1)
    return index, torch.cat([graph.far_vectors, -graph.far_vectors])
