"""Derivatives with respect to the geometry: leaves to differentiate by, forces and stresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments


@dataclass(frozen=True, eq=False)
class Slope:
    """Gradient of the energy with respect to the geometry.

    Attributes
    ----------
    index, vectors, values : Tensor
        Ends (2, E + P), vectors (E + P, 3) and dE/dr_ij (E + P, 3) of edges and far pairs.
    positions, strain : Tensor or None
        Derivatives with respect to positions (N, 3) and strain (B, 3, 3), of energies that are no
        sums over pairs.
    """

    index: Tensor
    vectors: Tensor
    values: Tensor
    positions: Tensor | None = None
    strain: Tensor | None = None

    @property
    def virials(self) -> Tensor:
        """Derivative of the energy with respect to strain by edge (E + P, 3, 3)."""
        outer = self.vectors[:, :, None] * self.values[:, None, :]
        # Antisymmetric parts cancel in the sum of a rotation-invariant energy; drop their noise.
        return 0.5 * (outer + outer.mT)


def strained(graph: AtomGraph) -> tuple[AtomGraph, list[Tensor]]:
    """A graph whose positions and cell follow two new leaves, positions and a strain of zero.

    Returns
    -------
    AtomGraph
        With positions r (1 + strain) and cell h (1 + strain); edges stay as they are.
    list of Tensor
        Positions (N, 3) and strain (B, 3, 3).
    """
    positions = graph.positions.detach().requires_grad_()
    strain = torch.zeros_like(graph.cell).requires_grad_()
    deformation = strain + torch.eye(3, dtype=strain.dtype, device=strain.device)
    by_atom = deformation[graph.batch]
    moved = replace(
        graph,
        positions=(positions[:, None] @ by_atom)[:, 0],
        cell=graph.cell @ deformation,
    )
    return moved, [positions, strain]


def shifted(graph: AtomGraph, shifts: Tensor) -> AtomGraph:
    """A graph whose atoms have moved by shifts (N, 3), and all their images with them."""

    def stretched(vectors: Tensor, index: Tensor) -> Tensor:
        receivers, senders = (Segments.of(ends, graph.num_atoms) for ends in index)
        return vectors + senders.gather(shifts) - receivers.gather(shifts)

    return replace(
        graph,
        edge_vectors=stretched(graph.edge_vectors, graph.edge_index),
        far_vectors=stretched(graph.far_vectors, graph.far_index),
        positions=graph.positions + shifts if graph.positions.shape[0] else graph.positions,
    )


def _forces(graph: AtomGraph, slope: Slope) -> Tensor:
    """Forces (N, 3): r_ij = r_j - r_i, so i is pulled along +dE/dr_ij and j along the reverse."""
    both_ends = torch.cat([slope.values, -slope.values])
    forces = graph.ends(slope.index).sum(both_ends)
    return forces if slope.positions is None else forces - slope.positions


def _stress(graph: AtomGraph, slope: Slope) -> Tensor:
    virial = graph.by_structure(slope.index[0]).sum(slope.virials)
    if slope.strain is not None:
        virial = virial + 0.5 * (slope.strain + slope.strain.mT)
    return _per_volume(virial, graph.volume)


def _stresses(graph: AtomGraph, slope: Slope) -> Tensor:
    """Stress by atom: each edge is shared equally by its two ends."""
    half = 0.5 * slope.virials
    virials = graph.ends(slope.index).sum(torch.cat([half, half]))
    return _per_volume(virials, graph.volume[graph.batch])


def _per_volume(virial: Tensor, volume: Tensor) -> Tensor:
    """Virials (n, 3, 3) by volume (n,), NaN where there is none.

    NaN is put in last: divided by it, a virial whose stress does not count would still turn the
    gradients of training into NaN.
    """
    volume = volume[:, None, None]
    there = volume > 0.0
    return torch.where(there, virial / torch.where(there, volume, 1.0), torch.nan)


FROM_SLOPE: dict[str, Callable[[AtomGraph, Slope], Tensor]] = {
    "forces": _forces,
    "stress": _stress,
    "stresses": _stresses,
}
