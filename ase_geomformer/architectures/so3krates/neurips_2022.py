"""So3krates in its first generation, with attention among atoms that are alike, however far.

Frank, Unke, Müller, NeurIPS 2022 (arXiv 2205.14276). The Euclidean variables are called spherical
harmonic coordinates there. They start from the mean direction of the neighbours, filter attention
by the norms of their differences, and are multiplied with each other on each atom. Attention may
also reach all atoms of a structure whose Euclidean variables resemble those of the receiver: this
part reads the far pairs of the graph, all of them, so the structure must be open.

As published, four things break what the other architectures of this package promise; the settings
say how to keep the promises:

- norms have a cusp where surroundings are symmetric, and the mean direction of the neighbours ends
  in a step as the last of them leaves (``softening``);
- products of degrees with l1 + l2 + L odd are not invariant under reflections (``parity``);
- cosine cutoffs (``cutoff_function``);
- the softmax of the non-local part couples all atoms of a structure: energies are not extensive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.so3krates.nonlocality import nonlocal_envelope
from ase_geomformer.architectures.so3krates.self_mix import SelfMix
from ase_geomformer.architectures.validation import (
    check_attention_widths,
    check_numbers,
    keep_degrees,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.all_pairs import both_ways
from ase_geomformer.layers.attention import Attention, FilterNetwork
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.dense import LAYER_NORM_EPS, dense
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.embedding import element_embedding
from ase_geomformer.layers.harmonics import DegreeNorm, SphericalHarmonics
from ase_geomformer.layers.radial import RADIAL_BASES, FadedBasis
from ase_geomformer.layers.readout import EnergyHead
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class So3krates2022Settings(Shown):
    """Hyper-parameters of So3krates, 2022 generation; widths and depth are those of the paper.

    Attributes
    ----------
    cutoff
        Radius in Å within which atoms attend to each other.
    num_features
        Width F of the invariant features; divisible by ``num_heads`` and by the number of degrees.
    num_layers
        Number of layers; information travels ``num_layers * cutoff``, and without limit where
        there is non-local attention.
    num_heads
        Attention heads of the invariant features.
    degrees
        Degrees l of the Euclidean variables, sorted, each with its own head.
    radial_basis
        ``bernstein``, ``physnet``, ``bessel`` or ``gaussian``.
    num_radial_basis
        Number K of radial basis functions.
    cutoff_function
        ``quintic`` and ``exponential`` keep forces smooth at the cutoff; ``cosine``, the paper's,
        only continuous, with a jump in their slope.
    radial_width, spherical_width
        Hidden widths of the two networks that make up an attention filter.
    parity
        Multiply only degrees with l1 + l2 + L even; otherwise energies of mirror images differ.
    softening
        Softens what is singular: norms become sqrt(|v|^2 + s^2) - s, and s is added to the sum of
        weights that the neighbours' directions are divided by. 0 is the published form, whose
        force constants diverge at symmetric sites and whose energy jumps as the last neighbour
        leaves.
    nonlocal_cutoff
        Attend also to atoms whose distance among the Euclidean variables, after a softmax over all
        atoms of the structure, is below this number; ``uniform`` is one over the number of atoms;
        None for local attention alone.
    feature_layer_norm, geometry_layer_norm
        Normalise x, and each degree of the Euclidean variables, after attention and after the
        interaction.
    atomic_scales, atomic_shifts
        Learn a factor and an offset of the energy for each element.
    rounded_constants
        Round one over the number of atoms to float32, as the original code does even in float64;
        energies differ by 1e-9 eV.
    """

    cutoff: float = ranged(5.0, 0, 1000, "Å", above=True)
    num_features: int = ranged(132, 1, 65_536)
    num_layers: int = ranged(6, 0, 1000)
    num_heads: int = ranged(4, 1, 4096)
    degrees: tuple[int, ...] = ranged((1, 2, 3), 0, 64)
    radial_basis: str = "physnet"
    num_radial_basis: int = ranged(32, 1, 10_000)
    cutoff_function: str = "quintic"
    radial_width: int = ranged(128, 1, 65_536)
    spherical_width: int = ranged(32, 1, 65_536)
    parity: bool = True
    softening: float = ranged(0.1, 0, 1e6)
    nonlocal_cutoff: float | Literal["uniform"] | None = ranged(None, 0, 1e6, above=True)
    feature_layer_norm: bool = False
    geometry_layer_norm: bool = False
    atomic_scales: bool = False
    atomic_shifts: bool = False
    rounded_constants: bool = False

    def __post_init__(self) -> None:
        keep_degrees(self)
        check_numbers(self)
        check_attention_widths(self.num_features, self.num_heads, self.degrees, quarters=False)


class GeometryNorm(nn.Module):
    """Each degree of the Euclidean variables (N, M) brought to a trainable length."""

    def __init__(self, degree_norm: DegreeNorm) -> None:
        super().__init__()
        self.degree_norm = degree_norm
        self.scale = nn.Parameter(torch.ones(degree_norm.num_degrees))

    def forward(self, ev: Tensor) -> Tensor:
        return self.degree_norm.normalised(ev, self.scale)


class Interaction(nn.Module):
    """Exchange between x, the norms of ev, and products of the degrees of ev, on each atom."""

    def __init__(self, settings: So3krates2022Settings, degree_norm: DegreeNorm) -> None:
        super().__init__()
        width, num_degrees = settings.num_features, degree_norm.num_degrees
        self.degree_norm = degree_norm
        self.parts = [width, width, num_degrees, num_degrees]
        self.self_mix = SelfMix(settings.degrees, parity=settings.parity)
        self.mix = dense(width + num_degrees, sum(self.parts))
        self.products = dense(num_degrees, width)

    def forward(self, x: Tensor, ev: Tensor) -> tuple[Tensor, Tensor]:
        norm, spread = self.degree_norm.invariants, self.degree_norm.spread
        mixed = self.self_mix(ev)
        own, gate, keep, take = self.mix(torch.cat([x, norm(ev)], dim=-1)).split(self.parts, dim=-1)
        x = (x + own + gate * self.products(norm(mixed))) / math.sqrt(3.0)
        return x, ev + spread(keep) * ev + spread(take) * mixed


class Layer(nn.Module):
    """Attention, to neighbours and to atoms that are alike, then interaction on each atom."""

    def __init__(self, settings: So3krates2022Settings, degree_norm: DegreeNorm) -> None:
        super().__init__()
        width, num_degrees = settings.num_features, len(settings.degrees)
        self.degree_norm = degree_norm
        self.nonlocal_cutoff = settings.nonlocal_cutoff
        self.rounded_constants = settings.rounded_constants

        def filter_network() -> FilterNetwork:
            return FilterNetwork(
                width,
                settings.num_radial_basis,
                num_degrees,
                radial_width=settings.radial_width,
                spherical_width=settings.spherical_width,
            )

        def feature_norm() -> nn.Module:
            wanted = settings.feature_layer_norm
            return nn.LayerNorm(width, eps=LAYER_NORM_EPS) if wanted else nn.Identity()

        def geometry_norm() -> nn.Module:
            return GeometryNorm(degree_norm) if settings.geometry_layer_norm else nn.Identity()

        self.attention = Attention(
            width,
            settings.num_heads,
            degree_norm,
            filter_network(),
            filter_network(),
            feature_norm=math.sqrt(width // settings.num_heads),
            geometry_norm=math.sqrt(width // num_degrees),
            bias=True,
        )
        self.interaction = Interaction(settings, degree_norm)
        self.feature_norm_1, self.feature_norm_2 = feature_norm(), feature_norm()
        self.geometry_norm_1, self.geometry_norm_2 = geometry_norm(), geometry_norm()

    def forward(
        self, x: Tensor, ev: Tensor, edges: Edges, pairs: Edges | None, batch: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``pairs`` are all pairs of every structure, where there is non-local attention."""
        dx, dev = self.attention(x, ev, edges)
        if pairs is not None and self.nonlocal_cutoff is not None:
            envelope = nonlocal_envelope(
                self.degree_norm.total(pairs.senders.gather(ev) - pairs.receivers.gather(ev)),
                pairs.receivers,
                pairs.senders,
                batch,
                self.nonlocal_cutoff,
                rounded=self.rounded_constants,
            )
            alike = replace(pairs, envelope=envelope)
            dev = dev + self.attention.geometry_update(x, ev, alike)
        x, ev = self.feature_norm_1(x + dx), self.geometry_norm_1(ev + dev)
        x, ev = self.interaction(x, ev)
        return self.feature_norm_2(x), self.geometry_norm_2(ev)


class So3krates2022(Architecture, name="so3krates-2022", settings=So3krates2022Settings):
    """So3krates, 2022 generation: per-atom energies from neighbours, and from atoms that are alike.

    Parameters
    ----------
    settings : So3krates2022Settings
    """

    settings: So3krates2022Settings

    def __init__(self, settings: So3krates2022Settings) -> None:
        super().__init__(settings)
        width = settings.num_features
        degree_norm = DegreeNorm(settings.degrees, settings.softening)
        self.envelope = CUTOFFS[settings.cutoff_function]
        basis = RADIAL_BASES[settings.radial_basis](settings.num_radial_basis, settings.cutoff)
        # The paper's filters see a radial basis that fades at the cutoff.
        self.radial_basis = FadedBasis(basis, self.envelope, settings.cutoff)
        self.harmonics = SphericalHarmonics(settings.degrees)
        self.element_embedding = element_embedding(width)
        self.layers = nn.ModuleList(
            [Layer(settings, degree_norm) for _ in range(settings.num_layers)]
        )
        self.energy_head = EnergyHead(
            width, width, scales=settings.atomic_scales, shifts=settings.atomic_shifts
        )

    @property
    def far_cutoff(self) -> float:
        return 0.0 if self.settings.nonlocal_cutoff is None else math.inf

    @property
    def hops(self) -> int | None:
        # Euclidean variables have seen the neighbours before the first layer.
        return len(self.layers) + 1 if self.settings.nonlocal_cutoff is None else None

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        x = self.element_embedding(graph.atomic_numbers)
        edges, pairs = self.edge_features(graph), self.pair_features(graph)
        ev = self.initial_geometry(edges)
        for layer in self.layers:
            x, ev = layer(x, ev, edges, pairs, graph.batch)
        return {"energies": self.energy_head(x, graph.atomic_numbers)}

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff and harmonics of every edge, common to all layers."""
        return self._expand((graph.receivers, graph.senders), graph.edge_vectors)

    def pair_features(self, graph: AtomGraph) -> Edges | None:
        """The same of all pairs of every structure, both ways; None without non-local attention."""
        if self.settings.nonlocal_cutoff is None:
            return None
        return self._expand(*both_ways(graph))

    def _expand(self, ends: tuple[Segments, Segments], vectors: Tensor) -> Edges:
        # The paper's vectors point from sender to receiver, which odd degrees tell apart.
        return Edges.expand(
            ends, -vectors, self.radial_basis, self.envelope, self.harmonics, self.cutoff
        )

    def initial_geometry(self, edges: Edges) -> Tensor:
        """Mean harmonics (N, M) of the neighbours, weighted by the cutoff function."""
        weights = edges.envelope[:, None]
        sums = edges.receivers.sum(weights * edges.harmonics)
        totals = edges.receivers.sum(weights) + self.settings.softening
        return sums / torch.where(totals > 0.0, totals, 1.0)
