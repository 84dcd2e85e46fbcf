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
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.geomformer.blocks import Block
from ase_geomformer.architectures.geomformer.cross_attention import Streams
from ase_geomformer.architectures.geomformer.equivariant import VectorReadout
from ase_geomformer.architectures.geomformer.settings import GeoMFormerSettings
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.all_pairs import both_ways
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.dense import LAYER_NORM_EPS
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.embedding import NUM_ELEMENTS, element_embedding
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.radial import RADIAL_BASES, RadialLinear
from ase_geomformer.layers.readout import ChargeHead, EnergyHead


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
        self.radial = RadialLinear(settings.num_radial_basis, width, bias=False)
        self.density_x = streams.maps_x(1)
        self.density_e = streams.maps_e(1)

    def forward(self, numbers: Tensor, edges: Edges, centred: Edges) -> tuple[Tensor, Tensor]:
        """``centred`` are what e is made from: the edges, or one from each atom to the centre."""
        density = self._density(numbers, centred, centred.harmonics)
        (e,) = self.density_e(density)
        if not self.scalar_component or centred is not edges:
            density = self._density(numbers, edges, torch.ones_like(edges.harmonics[:, :1]))
        # Harmonics of degree 0 are one.
        (x,) = self.density_x(density[:, 0])
        if self.elements_e is not None:
            e = torch.cat([e[:, :1] + self.elements_e(numbers)[:, None], e[:, 1:]], dim=1)
        return self.elements_x(numbers) + x, e

    def _density(self, numbers: Tensor, edges: Edges, harmonics: Tensor) -> Tensor:
        """Sum over neighbours of harmonics (E, M) times filtered distances: (N, M, F)."""
        sent = self.radial(edges.radial) * edges.senders.gather(self.sender(numbers))
        sent = sent * edges.envelope[:, None]
        return edges.outer_sum(harmonics, sent)


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
    def hops(self) -> int | None:
        settings = self.settings
        if settings.attention != "neighbours" or settings.initial_vectors != "neighbours":
            return None
        # Both streams have seen the neighbours before the first block.
        return 1 + sum(cast(Block, block).attention is not None for block in self.blocks)

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
            return self._expand((graph.receivers, graph.senders), graph.edge_vectors)
        ends, vectors = both_ways(graph)
        edges = self._expand(ends, vectors)
        # Pairs of an atom with itself only fill up padded graphs.
        there = (edges.receivers.index != edges.senders.index).to(vectors.dtype)
        return replace(edges, envelope=there)

    def centre_features(self, graph: AtomGraph) -> Edges:
        """The same of one edge for each atom, from it to the mean place of its structure."""
        (receivers, _), vectors = both_ways(graph)
        ones = torch.ones_like(graph.batch, dtype=vectors.dtype)
        sizes = graph.structures.sum(ones)[graph.batch]
        to_centre = receivers.sum(vectors) / sizes[:, None]
        indices = torch.arange(graph.num_atoms, device=vectors.device)
        atoms = Segments.of(indices, graph.num_atoms, in_order=True)
        edges = self._expand((atoms, atoms), to_centre)
        return replace(edges, envelope=ones)

    def _expand(self, ends: tuple[Segments, Segments], vectors: Tensor) -> Edges:
        """Harmonics are scaled to a mean square of one per component: (1, sqrt(3) u, ...)."""
        receivers, senders = ends
        distances, directions = distances_and_directions(vectors)
        return Edges(
            receivers=receivers,
            senders=senders,
            radial=self.radial_basis(distances),
            envelope=self.envelope(distances, self.cutoff),
            harmonics=math.sqrt(4.0 * math.pi) * self.harmonics(directions),
        )
