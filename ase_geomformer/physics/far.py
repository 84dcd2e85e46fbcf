"""Energies that are sums over far pairs, with their gradient written out for evaluation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.harmonics import distances_and_directions
from ase_geomformer.layers.written_gradient import WrittenGradient
from ase_geomformer.physics.base import EnergyTerm

# A radius in Å, None for no cutoff, or "auto" for what the terms say themselves.
LongRangeCutoff = float | Literal["auto"] | None


class PairSlopes(NamedTuple):
    """Energies of pairs (P,), and their derivatives (P,) by what they depend on."""

    energies: Tensor
    by_distance: Tensor
    by_first: Tensor  # the number of the first atom
    by_second: Tensor


class FarPairTerm(EnergyTerm):
    """Base class of the terms that sum over far pairs; half of each pair's energy on either atom.

    The settings have a field ``long_range_cutoff``: a radius in Å, or None for none. A pair's
    energy depends on its distance, its elements, and a number of each atom that the architecture
    gives, of the name in :attr:`requires`.
    """

    @property
    def cutoff(self) -> float:
        return 0.0

    @property
    def far_cutoff(self) -> float:
        cutoff = self.settings.long_range_cutoff
        return math.inf if cutoff is None else float(cutoff)

    @abstractmethod
    def pair_energies(self, distances: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
        """Energies of pairs (P,) in eV.

        Parameters
        ----------
        distances : Tensor, shape (P,), Å
        numbers : Tensor, shape (2, P), int64
            Atomic numbers of both atoms.
        values : Tensor, shape (2, P)
            What the architecture gives for both.
        """

    @abstractmethod
    def pair_slopes(self, distances: Tensor, numbers: Tensor, values: Tensor) -> PairSlopes:
        """The same with their derivatives."""

    def self_energies(self, outputs: Mapping[str, Tensor]) -> Tensor | None:
        """Energies of the atoms (N,) in eV that no pair has a share in; None for none."""
        return None

    def forward(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        (name,) = self.requires
        (energies,) = PairSum(self, graph)(graph.far_vectors, outputs[name])
        own = self.self_energies(outputs)
        return energies if own is None else energies + own


@dataclass(frozen=True, eq=False)
class PairSum(WrittenGradient):
    """Energies of atoms (N,) from the vectors of far pairs (P, 3) and a number of each atom."""

    term: FarPairTerm
    graph: AtomGraph
    weights = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        # Of a divided structure, the numbers of other processes' atoms are needed.
        divided = self.graph.ends(self.graph.far_index).is_divided
        return self.formula(*inputs) if divided else super().__call__(*inputs)

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        vectors, values = inputs
        graph = self.graph
        ends = graph.ends(graph.far_index)
        numbers, values = (
            ends.gather(own).view_as(graph.far_index) for own in (graph.atomic_numbers, values)
        )
        distances = distances_and_directions(vectors)[0]
        pairs = self.term.pair_energies(distances, numbers, values)
        return (0.5 * ends.sum(torch.cat([pairs, pairs])),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        vectors, values = inputs
        graph = self.graph
        index = graph.far_index
        numbers, own = (
            one.index_select(0, index.flatten()).view_as(index)
            for one in (graph.atomic_numbers, values)
        )
        distances = (vectors * vectors).sum(dim=1).sqrt_()
        found = self.term.pair_slopes(distances, numbers, own)
        energies = graph.ends(index).sum(torch.cat([found.energies, found.energies])).mul_(0.5)
        by_vector = found.by_distance / distances.masked_fill(distances == 0.0, 1.0)
        return (energies,), (by_vector, found.by_first, found.by_second)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        by_vector, by_first, by_second = kept
        index = self.graph.far_index
        ends = self.graph.ends(index)
        first, second = ends.gather(slopes[0]).view_as(index)
        share = (first + second).mul_(0.5)
        by_values = ends.sum(torch.cat([by_first * share, by_second * share]))
        return (by_vector * share)[:, None] * inputs[0], by_values


def check_long_range_cutoff(cutoff: float | None) -> None:
    """Raise ValueError unless it is a finite positive radius or None."""
    if cutoff is not None and not (math.isfinite(cutoff) and cutoff > 0):
        raise ValueError(
            f"long_range_cutoff must be a finite radius above 0 Å, or None for no cutoff, "
            f"not {cutoff}"
        )


def with_long_range_cutoff(
    terms: Mapping[str, Mapping[str, Any]], cutoff: float | None
) -> dict[str, dict[str, Any]]:
    """The settings of terms by name with another long-range cutoff.

    Raises
    ------
    ValueError
        If none of the terms has one.
    """
    if not any("long_range_cutoff" in settings for settings in terms.values()):
        raise ValueError(
            f"long_range_cutoff={cutoff} has nothing to act on: the potential has no long-range "
            f"terms (its terms: {', '.join(terms) or 'none'})"
        )
    return {
        name: {**settings, "long_range_cutoff": cutoff}
        if "long_range_cutoff" in settings
        else dict(settings)
        for name, settings in terms.items()
    }
