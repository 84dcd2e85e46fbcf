"""Settings of GeoMFormer, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ase_geomformer.architectures.geomformer.cross_attention import Streams
from ase_geomformer.architectures.validation import check_choices, check_numbers
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

SELF_ATTENTION = ("invariant_self", "equivariant_self")
CROSS_ATTENTION = {
    "none": (),
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

# What all published sizes have in common: vectors, and no geometry in the layers but for the mask.
_PUBLISHED: dict[str, Any] = {
    "layout": "alternating",
    "max_degree": 1,
    "degree_weights": False,
    "distance_bias": False,
    "edge_values": False,
    "directional_messages": False,
}
SIZES: dict[str, dict[str, Any]] = {
    "1M": {"num_features": 128, "num_blocks": 2, "num_heads": 8, **_PUBLISHED},
    "10M": {"num_features": 320, "num_blocks": 3, "num_heads": 16, **_PUBLISHED},
}
"""Settings of the published sizes of MatterSim-MT, by name."""


@dataclass(frozen=True)
class GeoMFormerSettings(Shown):
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
        one, or ``none``.
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
    image_collapse
        Attend over all pairs of atoms, not of periodic images: the same within rounding, in time
        and memory that grow with the square of the number of atoms in a batch; for single cells
        of up to a few hundred. Not with ``edge_values`` or ``directional_messages``, by which
        images differ.
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

    cutoff: float = ranged(5.0, 0, 1000, "Å", above=True)
    attention: Literal["neighbours", "all-pairs"] = "neighbours"
    num_features: int = ranged(64, 1, 65_536)
    num_blocks: int = ranged(2, 1, 1000)
    num_heads: int = ranged(8, 1, 4096)
    ffn_width: int | None = ranged(None, 1, 65_536)
    layout: Literal["parallel", "alternating"] = "parallel"
    cross_attention: Literal["none", "invariant", "equivariant", "both"] = "both"
    max_degree: int = ranged(2, 1, 64)
    scalar_component: bool = True
    degree_weights: bool = True
    equivariant_norm: Literal["joint", "whitening"] = "joint"
    initial_vectors: Literal["neighbours", "centred"] = "neighbours"
    inner_norm: bool = True
    distance_bias: bool = True
    edge_values: bool = True
    directional_messages: bool = True
    image_collapse: bool = False
    logit_bound: float = ranged(8.0, 0, 20, above=True)
    radial_basis: str = "bernstein"
    num_radial_basis: int = ranged(32, 1, 10_000)
    cutoff_function: str = "quintic"
    activation: str = "silu"
    energy_width: int | None = ranged(64, 1, 65_536)
    atomic_shifts: bool = True
    forces: Literal["gradient", "direct"] = "gradient"
    charge_width: int | None = ranged(None, 1, 65_536)

    def __post_init__(self) -> None:
        check_numbers(self)
        check_choices(self, CHOICES)
        if self.num_features % self.num_heads:
            raise ValueError(
                f"num_features={self.num_features} must be divisible by num_heads={self.num_heads}"
            )
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
    if settings.image_collapse and (settings.edge_values or settings.directional_messages):
        raise ValueError(
            "image_collapse needs edge_values=False and directional_messages=False: with them "
            "values depend on the image"
        )
    if settings.equivariant_norm == "whitening" and settings.scalar_component:
        raise ValueError("equivariant_norm='whitening' is for scalar_component=False")
    if settings.initial_vectors == "centred" and settings.attention != "all-pairs":
        raise ValueError("initial_vectors='centred' needs attention='all-pairs' to find the centre")
