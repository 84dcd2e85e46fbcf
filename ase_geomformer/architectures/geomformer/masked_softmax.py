"""Attention over neighbours by a softmax that neighbours enter and leave smoothly.

Weights are w_ij = m_ij exp(a_ij) / (exp(a_ii) + sum over k of m_ik exp(a_ik)) and messages
w_ij m_ij V_ij, with the cutoff function m. As a neighbour leaves, its message vanishes like m^2
and its part of the denominator like m (MatterSim-MT, arXiv 2605.07927). The atom itself is always
among the keys, with m = 1, so that the denominator never vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.heads import head_spread, head_sum
from ase_geomformer.layers.radial import RadialLinear

MessageFunction = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]]


def bounded(logits: Tensor, bound: float) -> Tensor:
    """The logit a where it is small, and never beyond the bound b: b tanh(a / b).

    The steepness of weights at the cutoff grows with exp(a), which a bound keeps in check; it also
    makes the subtraction of the largest logit needless.
    """
    return bound * torch.tanh(logits / bound)


class DistanceFactor(RadialLinear):
    """Factors of the weights by distance: exp of a bounded linear map of the radial basis.

    Parameters
    ----------
    num_radial_basis, num_logits : int
    bound : float
        Of logits.
    """

    def __init__(self, num_radial_basis: int, num_logits: int, bound: float) -> None:
        super().__init__(num_radial_basis, num_logits)
        self.bound = bound

    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to factors (E, num_logits)."""
        return torch.exp(bounded(super().of_radial(radial), self.bound))


@dataclass(frozen=True)
class Heads:
    """How rows of flat features divide into modules, components and heads.

    Attributes
    ----------
    components : sequence of int
        Components c of each module: 1 for invariant features.
    num_heads : int
        Heads of each module.
    num_features : int
        Width F of each component of a module.
    """

    components: Sequence[int]
    num_heads: int
    num_features: int

    @property
    def width(self) -> int:
        """Length of a flat row, the sum over modules of c F."""
        return sum(self.components) * self.num_features

    def scale(self, components: int) -> float:
        """Factor of products: one over sqrt(F / heads), or over sqrt(3 F / heads) of vectors."""
        return ((1 if components == 1 else 3) * self.num_features / self.num_heads) ** -0.5

    def split(self, flat: Tensor) -> tuple[Tensor, ...]:
        """Flat rows (E, width) to (E, c, heads, F / heads) of each module."""
        return tuple(part.unflatten(-1, (self.num_heads, -1)) for part in self.by_module(flat))

    def by_module(self, flat: Tensor) -> tuple[Tensor, ...]:
        """Flat rows (E, width) to (E, c, F) of each module."""
        parts = flat.split([c * self.num_features for c in self.components], dim=-1)
        return tuple(
            part.unflatten(-1, (c, -1)) for part, c in zip(parts, self.components, strict=True)
        )

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Scaled products of flat queries and keys: (E, width) to (E, modules * heads)."""
        parts = [
            part.sum(dim=1) * self.scale(c)
            for part, c in zip(self.by_module(query * key), self.components, strict=True)
        ]
        return head_sum(torch.stack(parts, dim=1), self.num_heads).flatten(1)

    def spread(self, weights: Tensor) -> tuple[Tensor, ...]:
        """Copy weights (E, modules * heads) to the features of their head: (E, 1, F) by module."""
        by_module = weights.unflatten(-1, (len(self.components), 1, self.num_heads))
        return head_spread(by_module, self.num_features).unbind(dim=1)

    def weighted(self, weights: Tensor, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Values (E, c, F) of each module times weights (E, modules * heads)."""
        return tuple(v * w for v, w in zip(values, self.spread(weights), strict=True))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: Heads,
    edges: Edges,
    *,
    edge_factor: Tensor,
    self_bias: Tensor,
    bound: float,
    messages: MessageFunction | None = None,
) -> Tensor:
    """What every atom receives: flat rows (N, width) from queries, keys and values like it.

    Parameters
    ----------
    query, key, value : Tensor, shape (N, width)
    heads : Heads
    edges : Edges
    edge_factor : Tensor, shape (E, modules * heads)
        What the weights of edges are multiplied by, see :class:`DistanceFactor`.
    self_bias : Tensor, shape (modules * heads,)
        Added to the logits of atoms with themselves; bounded.
    bound : float
        Of logits.
    messages : callable, optional
        From the weights (E, modules * heads) and the senders' values by module (E, c, F) to what
        is sent, values times weights where it is left out.
    """
    mask = edges.envelope[:, None]
    on_edge = heads.scores(edges.receivers.gather(query), edges.senders.gather(key))
    weight = torch.exp(bounded(on_edge, bound)) * edge_factor * mask
    own = torch.exp(bounded(heads.scores(query, key), bound) + bounded(self_bias, bound))
    values = heads.by_module(edges.senders.gather(value))
    sent = (messages or heads.weighted)(weight * mask, values)
    flat = torch.cat([*(part.flatten(1) for part in sent), weight], dim=-1)
    received = edges.receivers.sum(flat)
    total, denominator = received.split([heads.width, weight.shape[-1]], dim=-1)
    inverse = 1.0 / (denominator + own)
    parts = zip(
        heads.weighted(inverse, heads.by_module(total)),
        heads.weighted(own * inverse, heads.by_module(value)),
        strict=True,
    )
    return torch.cat([(sent + kept).flatten(1) for sent, kept in parts], dim=-1)
