"""Hyper-parameters of EST."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ase_geomformer.architectures.est.sphere.attention import KERNELS
from ase_geomformer.architectures.validation import check_choices, check_numbers
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# The kinds of experts of each setting.
BRANCHES = {
    "steerable": ("steerable",),
    "spherical": ("spherical",),
    "both": ("steerable", "spherical"),
}


@dataclass(frozen=True)
class EstSettings(Shown):
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
    messages
        ``filters`` sends features along filters of distance and direction, which is cheap;
        ``so2`` is the graph attention of EquiformerV2, which mixes degrees in frames of the edges.
    num_heads
        Independent gates of the filters, 0 for none; heads of the graph attention.
    attention_width
        Channels of the graph attention; divisible by ``num_heads``.
    mmax
        Highest order |m| of the graph attention; there are none above ``lmax``.
    parity
        Keep parity in the graph attention. Without it energies of mirror images may differ.
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
    direct_forces
        A head that predicts forces by itself. They are not the gradient of the energy, and
        conserve none.
    """

    cutoff: float = ranged(5.0, 0, 1000, "Å", above=True)
    lmax: int = ranged(2, 1, 64)
    num_channels: int = ranged(64, 1, 65_536)
    num_layers: int = ranged(2, 0, 1000)
    messages: str = "filters"
    num_heads: int = ranged(4, 0, 4096)
    attention_width: int = ranged(32, 1, 65_536)
    mmax: int = ranged(2, 0, 64)
    parity: bool = True
    radial_basis: str = "bernstein"
    num_radial_basis: int = ranged(16, 1, 10_000)
    radial_width: int = ranged(64, 1, 65_536)
    cutoff_function: str = "quintic"
    avg_num_neighbors: float | None = ranged(None, 0, 1e6, above=True)
    branches: str = "both"
    experts: int = ranged(1, 1, 1024)
    steerable_width: int = ranged(64, 1, 65_536)
    spherical_width: int = ranged(64, 1, 65_536)
    spherical_heads: int = ranged(1, 1, 4096)
    kernel: str = "polynomial"
    rule: str | None = None
    degree: int | None = ranged(None, 1, 1000)
    energy_width: int | None = ranged(64, 1, 65_536)
    energy_activation: str = "silu"
    atomic_scales: bool = False
    atomic_shifts: bool = True
    charge_embedding: bool = False
    spin_embedding: bool = False
    charge_width: int | None = ranged(None, 1, 65_536)
    direct_forces: bool = False

    def __post_init__(self) -> None:
        check_numbers(self)
        check_choices(
            self,
            {
                "energy_activation": ACTIVATIONS,
                "kernel": KERNELS,
                "branches": BRANCHES,
                "messages": dict.fromkeys(("filters", "so2")),
            },
        )
        attention = self.messages == "so2"
        shared = "attention_width" if attention else "num_channels"
        if self.num_heads < int(attention):
            raise ValueError(f"messages='so2' needs at least one head, not {self.num_heads}")
        if self.num_heads and getattr(self, shared) % self.num_heads:
            raise ValueError(
                f"{shared}={getattr(self, shared)} must be divisible by num_heads={self.num_heads}"
            )

    @property
    def highest_order(self) -> int:
        """Highest order |m| that there is."""
        return min(self.mmax, self.lmax)

    @property
    def normalizer(self) -> float:
        """What sums over neighbours are divided by."""
        if self.avg_num_neighbors is None:
            raise ValueError(
                "EST needs avg_num_neighbors: give the mean number of neighbours within the "
                "cutoff in the training set"
            )
        return math.sqrt(self.avg_num_neighbors)
