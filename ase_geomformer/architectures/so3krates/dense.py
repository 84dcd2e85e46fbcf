"""So3krates in the generation of the Euclidean transformer paper, called dense after its code.

Frank, Unke, Müller, Chmiela, Nat. Commun. 15, 6539 (2024) (arXiv 2309.15126). The layer is that of
:mod:`~ase_geomformer.architectures.so3krates.sparse`, which came out of it: attention updates
invariant features x and Euclidean variables ev, then both meet in a linear map on each atom. It
differs in where it normalises (before each block, with skip connections around), in its residual
networks, and in that the Euclidean variables may start from the neighbours' directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add

from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.validation import (
    check_attention_widths,
    check_numbers,
    keep_degrees,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.attention import Attention, Exchange, FilterNetwork
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.dense import LAYER_NORM_EPS, dense
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.embedding import element_embedding
from ase_geomformer.layers.harmonics import DegreeSum, SphericalHarmonics
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.layers.readout import EnergyHead
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class So3kratesDenseSettings(Shown):
    """Hyper-parameters of So3krates, dense generation; widths and depth are those of the paper.

    Attributes
    ----------
    cutoff
        Radius in Å within which atoms attend to each other.
    num_features
        Width F of the invariant features; divisible by ``num_heads`` and by the number of degrees.
    num_layers
        Number of layers; information travels ``num_layers * cutoff``.
    num_heads
        Attention heads of the invariant features.
    degrees
        Degrees l of the Euclidean variables, sorted, each with its own head; ``(0,)`` is the
        invariant control of the paper.
    radial_basis
        ``bernstein``, ``physnet``, ``bessel`` or ``gaussian``.
    num_radial_basis
        Number K of radial basis functions.
    cutoff_function
        ``quintic`` and ``exponential`` keep forces smooth at the cutoff; ``cosine``, the paper's,
        only continuous, with a jump in their slope.
    radial_width, spherical_width
        Hidden widths of the two networks that make up an attention filter; F and F / 4 by default.
    spherical_filter
        Filter attention by how the Euclidean variables differ, not by distance alone.
    initial_normalization
        Start the Euclidean variables from the sum over neighbours of their harmonics, faded by
        the cutoff function and divided by this number; from zero by default.
    layer_norm
        Normalise x before attention, before the exchange and at the end.
    residual_mlp_1, residual_mlp_2
        A residual network on x after attention, after the exchange.
    atomic_scales, atomic_shifts
        Learn a factor and an offset of the energy for each element.
    rounded_constants
        Round the weights of the invariants in the exchange to float32, as the original code does
        even in float64; energies differ by 1e-9 eV.
    """

    cutoff: float = ranged(5.0, 0, 1000, "Å", above=True)
    num_features: int = ranged(132, 1, 65_536)
    num_layers: int = ranged(3, 0, 1000)
    num_heads: int = ranged(4, 1, 4096)
    degrees: tuple[int, ...] = ranged((0, 1, 2, 3), 0, 64)
    radial_basis: str = "physnet"
    num_radial_basis: int = ranged(32, 1, 10_000)
    cutoff_function: str = "quintic"
    radial_width: int | None = ranged(None, 1, 65_536)
    spherical_width: int | None = ranged(None, 1, 65_536)
    spherical_filter: bool = True
    initial_normalization: float | None = ranged(None, 0, 1e9, above=True)
    layer_norm: bool = False
    residual_mlp_1: bool = False
    residual_mlp_2: bool = False
    atomic_scales: bool = False
    atomic_shifts: bool = False
    rounded_constants: bool = False

    def __post_init__(self) -> None:
        keep_degrees(self)
        check_numbers(self)
        check_attention_widths(self.num_features, self.num_heads, self.degrees, quarters=False)


class ResidualNetwork(nn.Module):
    """C silu(y) with y = x + B silu(A silu(x)), none of them with a bias."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.dense_1 = dense(num_features, num_features, bias=False)
        self.dense_2 = dense(num_features, num_features, bias=False)
        self.final = dense(num_features, num_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        silu = nn.functional.silu
        return self.final(silu(x + self.dense_2(silu(self.dense_1(silu(x))))))


class Layer(nn.Module):
    """Attention, then exchange, each reading normalised features and adding to those before."""

    def __init__(self, settings: So3kratesDenseSettings) -> None:
        super().__init__()
        width, num_degrees = settings.num_features, len(settings.degrees)

        def filter_network() -> FilterNetwork:
            return FilterNetwork(
                width,
                settings.num_radial_basis,
                num_degrees,
                radial_width=settings.radial_width,
                spherical_width=settings.spherical_width,
                spherical=settings.spherical_filter,
            )

        def norm() -> nn.Module:
            return nn.LayerNorm(width, eps=LAYER_NORM_EPS) if settings.layer_norm else nn.Identity()

        def network(wanted: bool) -> nn.Module:
            return ResidualNetwork(width) if wanted else nn.Identity()

        self.attention = Attention(
            width,
            settings.num_heads,
            DegreeSum(settings.degrees),
            filter_network(),
            filter_network(),
            feature_norm=math.sqrt(width // settings.num_heads),
            geometry_norm=math.sqrt(width // num_degrees),
        )
        self.exchange = Exchange(
            width, DegreeSum(settings.degrees, rounded=settings.rounded_constants)
        )
        self.norm_1, self.network_1 = norm(), network(settings.residual_mlp_1)
        self.norm_2, self.network_2 = norm(), network(settings.residual_mlp_2)

    def forward(self, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        dx, dev = self.attention(self.norm_1(x), ev, edges)
        x, ev = self.network_1(x + dx), ev + dev
        dx, dev = self.exchange(self.norm_2(x), ev)
        return self.network_2(x + dx), ev + dev


class So3kratesDense(Architecture, name="so3krates-dense", settings=So3kratesDenseSettings):
    """So3krates, dense generation: per-atom energies from neighbours' geometry.

    Parameters
    ----------
    settings : So3kratesDenseSettings
    """

    settings: So3kratesDenseSettings
    takes_pairs = True

    def __init__(self, settings: So3kratesDenseSettings) -> None:
        super().__init__(settings)
        width = settings.num_features
        self.radial_basis = RADIAL_BASES[settings.radial_basis](
            settings.num_radial_basis, settings.cutoff
        )
        self.envelope = CUTOFFS[settings.cutoff_function]
        self.harmonics = SphericalHarmonics(settings.degrees)
        self.element_embedding = element_embedding(width)
        self.layers = nn.ModuleList([Layer(settings) for _ in range(settings.num_layers)])
        self.final_norm = (
            nn.LayerNorm(width, eps=LAYER_NORM_EPS) if settings.layer_norm else nn.Identity()
        )
        self.energy_head = EnergyHead(
            width, width, scales=settings.atomic_scales, shifts=settings.atomic_shifts
        )

    @property
    def hops(self) -> int:
        # Euclidean variables may have seen the neighbours before the first layer.
        return len(self.layers) + (self.settings.initial_normalization is not None)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        x = self.element_embedding(graph.atomic_numbers)
        edges = self.edge_features(graph)
        ev = self.initial_geometry(edges)
        for layer in self.layers:
            x, ev = layer(x, ev, edges)
        return {"energies": self.energy_head(self.final_norm(x), graph.atomic_numbers)}

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff and harmonics of every edge, common to all layers."""
        return Edges.of(graph, self.radial_basis, self.envelope, self.harmonics, self.cutoff)

    def initial_geometry(self, edges: Edges) -> Tensor:
        """Euclidean variables (N, M) before the first layer."""
        scale = self.settings.initial_normalization
        if scale is None:
            return edges.harmonics.new_zeros(edges.receivers.number, self.harmonics.dim)
        weights = edges.envelope[:, None] / scale
        return reduce(add, (way.receivers.sum(weights * way.harmonics) for way in edges.ways))
