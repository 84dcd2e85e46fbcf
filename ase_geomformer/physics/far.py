"""Energies that are sums over far pairs."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics.base import EnergyTerm

# A radius in Å, None for no cutoff, or "auto" for what the terms say themselves.
LongRangeCutoff = float | Literal["auto"] | None


class FarPairTerm(EnergyTerm):
    """Base class of the terms that sum over far pairs; half of each pair's energy on either atom.

    The settings have a field ``long_range_cutoff``: a radius in Å, or None for none.
    """

    @property
    def cutoff(self) -> float:
        return 0.0

    @property
    def far_cutoff(self) -> float:
        cutoff = self.settings.long_range_cutoff
        return math.inf if cutoff is None else float(cutoff)

    @abstractmethod
    def pair_energies(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        """Energies of the far pairs (P,) in eV."""

    def self_energies(self, outputs: Mapping[str, Tensor]) -> Tensor | None:
        """Energies of the atoms (N,) in eV that no pair has a share in; None for none."""
        return None

    def forward(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        pairs = self.pair_energies(graph, outputs)
        energies = 0.5 * graph.ends(graph.far_index).sum(torch.cat([pairs, pairs]))
        own = self.self_energies(outputs)
        return energies if own is None else energies + own


def of_far_pairs(values: Tensor, graph: AtomGraph) -> Tensor:
    """A number of each atom (N,) at both ends of every far pair, (2, P)."""
    return graph.ends(graph.far_index).gather(values).view_as(graph.far_index)


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
