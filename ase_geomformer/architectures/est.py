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
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.architectures.validation import check_choices, check_neighbourhood
from ase_geomformer.graph import AtomGraph
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.attention import Edges
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.degree_linear import DegreeInvariants, SteerableNorm
from ase_geomformer.layers.embedding import ElectronEmbedding, element_embedding
from ase_geomformer.layers.filters import FilterMessages, NeighbourDensity
from ase_geomformer.layers.harmonics import SphericalHarmonics
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.layers.readout import ChargeHead, EnergyHead
from ase_geomformer.layers.sphere.attention import KERNELS, SphericalBranch
from ase_geomformer.layers.sphere.gate import InvariantGate
from ase_geomformer.layers.steerable import SteerableExpert

# The kinds of experts of each setting.
BRANCHES = {
    "steerable": ("steerable",),
    "spherical": ("spherical",),
    "both": ("steerable", "spherical"),
}


@dataclass(frozen=True)
class EstSettings:
    """Hyper-parameters of EST.

    Attributes
    ----------
    cutoff
        Radius in Å within which atoms send messages.
    lmax
        Highest degree L of the steerable features; at least 1.
    num_channels
        Channels C of every degree; divisible by ``num_heads``.
    num_layers
        Number of layers; information travels ``(num_layers + 1) * cutoff``.
    num_heads
        Independent gates of the messages; 0 for none.
    radial_basis
        ``bernstein``, ``physnet``, ``bessel`` or ``gaussian``.
    num_radial_basis
        Number K of radial basis functions.
    radial_width
        Hidden width of the filters.
    cutoff_function
        ``quintic`` and ``exponential`` keep forces smooth at the cutoff; ``cosine`` only
        continuous, with a jump in their slope.
    avg_num_neighbors
        Mean number of neighbours in the training set, by whose root sums over neighbours are
        divided; the trainer measures it when it is left out.
    branches
        The experts of the update: ``steerable``, ``spherical`` or ``both``.
    experts
        Number of experts of each kind; more than one in all are weighed by an invariant gate.
    steerable_width, spherical_width
        Channels inside a steerable, a spherical expert.
    spherical_heads
        Heads of the attention between directions; ``num_channels`` must be divisible by it.
    kernel
        Form of the spherical branch: ``polynomial`` is equivariant to rounding, ``smooth`` and
        ``softmax`` approach it with the degree of their points, ``published`` is the released
        layer with its lattice, whose errors reach 10 %.
    rule, degree
        Point set on the sphere and the degree of the polynomials it integrates exactly; those of
        the kernel when left out. Weights do not depend on them: they may be raised after training.
    energy_width
        Hidden width of the energy head; None for one linear map.
    energy_activation
        Activation of the heads.
    atomic_scales, atomic_shifts
        Learn a factor and an offset of the energy for each element.
    charge_embedding, spin_embedding
        Tell the atoms the total charge, the number of unpaired electrons.
    charge_width
        Hidden width of a head that predicts partial charges; None for no such head.
    """

    cutoff: float = 5.0
    lmax: int = 2
    num_channels: int = 64
    num_layers: int = 2
    num_heads: int = 4
    radial_basis: str = "bernstein"
    num_radial_basis: int = 16
    radial_width: int = 64
    cutoff_function: str = "quintic"
    avg_num_neighbors: float | None = None
    branches: Literal["steerable", "spherical", "both"] = "both"
    experts: int = 1
    steerable_width: int = 64
    spherical_width: int = 64
    spherical_heads: int = 1
    kernel: str = "polynomial"
    rule: str | None = None
    degree: int | None = None
    energy_width: int | None = 64
    energy_activation: str = "silu"
    atomic_scales: bool = False
    atomic_shifts: bool = True
    charge_embedding: bool = False
    spin_embedding: bool = False
    charge_width: int | None = None

    def __post_init__(self) -> None:
        check_neighbourhood(self)
        check_choices(
            self,
            {"energy_activation": ACTIVATIONS, "kernel": KERNELS, "branches": BRANCHES},
        )
        if self.lmax < 1:
            raise ValueError(f"lmax must be at least 1, not {self.lmax}")
        if self.num_heads and self.num_channels % self.num_heads:
            raise ValueError(
                f"num_channels={self.num_channels} must be divisible by num_heads={self.num_heads}"
            )

    @property
    def normalizer(self) -> float:
        """What sums over neighbours are divided by."""
        if self.avg_num_neighbors is None:
            raise ValueError(
                "EST needs avg_num_neighbors: give the mean number of neighbours within the "
                "cutoff in the training set"
            )
        return math.sqrt(self.avg_num_neighbors)


class Update(nn.Module):
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
        self.messages = FilterMessages(
            lmax,
            channels,
            settings.num_heads,
            num_radial_basis=settings.num_radial_basis,
            radial_width=settings.radial_width,
            norm=settings.normalizer,
        )
        self.update = Update(settings)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        features = features + self.messages(self.norm_1(features), edges)
        return features + self.update(self.norm_2(features))


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

    @property
    def exact_equivariance(self) -> bool:
        """Whether energies are invariant to rounding; approximately otherwise."""
        branches = [m for m in self.modules() if isinstance(m, SphericalBranch)]
        return all(branch.exact for branch in branches)

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("energies", *self.heads)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        edges = self.edge_features(graph)
        features = self.embed(graph, edges)
        for layer in self.layers:
            features = layer(features, edges)
        features = self.norm(features)
        invariants = self.invariants(features, features)
        further = {name: head(invariants, graph) for name, head in self.heads.items()}
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
        """Basis, cutoff and harmonics of every edge, common to all layers.

        The 2l+1 harmonics of a degree have the mean square 1 here.
        """
        edges = Edges.of(graph, self.radial_basis, self.envelope, self.harmonics, self.cutoff)
        return replace(edges, harmonics=math.sqrt(4.0 * math.pi) * edges.harmonics)
