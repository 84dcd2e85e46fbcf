"""EST, the Equivariant Spherical Transformer, as a conservative potential.

An, Lu, Qu, Shi, Lin, Tang, Xu, Cao, Qi, "Equivariant Spherical Transformer for Efficient Molecular
Modeling" (arXiv 2505.23086). Every atom carries steerable features x (N, (L+1)^2, C). Messages
between neighbours and an update on each atom take turns; the update is a mixture of steerable
experts, which act degree by degree, and of spherical experts, which read the features as functions
on the sphere around the atom and let its directions attend to each other.

The published layer samples the sphere on points that no rotation leaves alone, and is equivariant
only roughly. With the kernel ``polynomial`` everything here is equivariant to rounding: the
kernel and the experts are polynomials, which a quadrature rule integrates exactly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.est.blocks import Layer
from ase_geomformer.architectures.est.degree_linear import DegreeInvariants, SteerableNorm
from ase_geomformer.architectures.est.edge_frame import EdgeFrames, FramedEdges
from ase_geomformer.architectures.est.filters import NeighbourDensity
from ase_geomformer.architectures.est.settings import EstSettings
from ase_geomformer.architectures.est.sphere.attention import SphericalBranch
from ase_geomformer.architectures.est.steerable import VectorHead
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.edge_attention import FEW_EDGES
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.embedding import ElectronEmbedding, element_embedding
from ase_geomformer.layers.frozen import in_one_place
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.layers.readout import ChargeHead, EnergyHead
from ase_geomformer.layers.written_gradient import is_by_formula

__all__ = ["Est", "EstSettings"]


class Est(Architecture, name="est", settings=EstSettings):
    """EST: per-atom energies from steerable features and functions on the sphere.

    Parameters
    ----------
    settings : EstSettings
    """

    def __init__(self, settings: EstSettings) -> None:
        super().__init__(settings)
        lmax, channels = settings.lmax, settings.num_channels
        self.radial_basis = RADIAL_BASES[settings.radial_basis](
            settings.num_radial_basis, settings.cutoff
        )
        self.envelope = CUTOFFS[settings.cutoff_function]
        self.harmonics = SphericalHarmonics(range(lmax + 1))
        self.frames = None
        if settings.messages == "so2":
            self.frames = EdgeFrames(lmax, settings.highest_order)
        self.element_embedding = element_embedding(channels)
        self.charge_embedding = ElectronEmbedding(channels) if settings.charge_embedding else None
        self.spin_embedding = ElectronEmbedding(channels) if settings.spin_embedding else None
        self.density = NeighbourDensity(
            lmax,
            channels,
            settings.num_radial_basis,
            settings.radial_width,
            settings.normalizer,
        )
        self.layers = nn.ModuleList([Layer(settings) for _ in range(settings.num_layers)])
        self.norm = SteerableNorm(lmax, channels)
        self.invariants = DegreeInvariants(lmax)
        width = (lmax + 1) * channels
        self.energy_head = EnergyHead(
            width,
            settings.energy_width,
            settings.energy_activation,
            scales=settings.atomic_scales,
            shifts=settings.atomic_shifts,
        )
        # Heads of further outputs, by the name of what they give.
        self.heads = nn.ModuleDict()
        if settings.charge_width is not None:
            self.heads["charges"] = ChargeHead(
                width, settings.charge_width, settings.energy_activation
            )
        self.force_head = VectorHead(width, channels) if settings.direct_forces else None

    @property
    def exact_equivariance(self) -> bool:
        """Whether energies are invariant to rounding; approximately otherwise."""
        branches = [m for m in self.modules() if isinstance(m, SphericalBranch)]
        return all(branch.exact for branch in branches)

    @property
    def hops(self) -> int:
        # The first features are those of the neighbours.
        return len(self.layers) + 1

    @property
    def outputs(self) -> tuple[str, ...]:
        direct = () if self.force_head is None else ("direct_forces",)
        return ("energies", *self.heads, *direct)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        edges = self.edge_features(graph)
        features = self.embed(graph, edges)
        for layer in self.layers:
            features = layer(features, edges)
        features = self.norm(features)
        invariants = self.invariants(features, features)
        further = {name: head(invariants, graph) for name, head in self.heads.items()}
        if self.force_head is not None:
            further["direct_forces"] = self.force_head(features, invariants)
        return {"energies": self.energy_head(invariants, graph.atomic_numbers), **further}

    def embed(self, graph: AtomGraph, edges: Edges) -> Tensor:
        """Initial features (N, (L+1)^2, C): elements, charge and spin, and the neighbours."""
        parts = [
            math.sqrt(self.settings.num_channels) * self.element_embedding(graph.atomic_numbers)
        ]
        if self.charge_embedding is not None:
            parts.append(self.charge_embedding(graph, graph.charge))
        if self.spin_embedding is not None:
            parts.append(self.spin_embedding(graph, graph.spin - 1.0))
        scalars = torch.stack(parts).sum(dim=0) / math.sqrt(len(parts))
        density = self.density(scalars, edges)
        return torch.cat([density[:, :1] + scalars[:, None], density[:, 1:]], dim=1)

    def edge_features(self, graph: AtomGraph) -> Edges:
        """Basis, cutoff, harmonics and, where wanted, frames of every edge, for all layers.

        The harmonics of each degree are scaled to a mean square of one per component.
        """
        distances, directions = distances_and_directions(graph.edge_vectors)
        edges = Edges(
            receivers=graph.receivers,
            senders=graph.senders,
            radial=self.radial_basis(distances),
            envelope=self.envelope(distances, self.cutoff),
            harmonics=math.sqrt(4.0 * math.pi) * self.harmonics(directions),
        )
        if self.frames is None:
            return edges
        joined = not is_by_formula() and in_one_place(edges.receivers, edges.senders)
        joined = joined and graph.num_edges <= FEW_EDGES
        rotations = self.frames.joined(directions) if joined else self.frames(directions)
        return FramedEdges(**vars(edges), rotations=rotations)
