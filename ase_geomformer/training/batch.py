"""LabelledGraph: a batch of structures with the energies, forces and stresses to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from ase_geomformer.graph import AtomGraph

_GRAPH_TENSORS = len(fields(AtomGraph))


@dataclass(frozen=True, eq=False)
class LabelledGraph:
    """A graph of B structures and N atoms with its labels.

    Attributes
    ----------
    graph : AtomGraph
    energy : Tensor, shape (B,), float64, eV
    forces : Tensor, shape (N, 3), eV/Å
    stress : Tensor, shape (B, 3, 3), eV/Å^3
        Tensile positive.
    has_energy, has_forces, has_stress : Tensor, shape (B,), bool
        Which structures carry the label; where they do not, the label is zero.
    """

    graph: AtomGraph
    energy: Tensor
    forces: Tensor
    stress: Tensor
    has_energy: Tensor
    has_forces: Tensor
    has_stress: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, those of the graph first; :meth:`from_tensors` puts them together again."""
        labels = (getattr(self, entry.name) for entry in fields(self)[1:])
        return (*self.graph.tensors, *labels)

    @classmethod
    def from_tensors(cls, tensors: Sequence[Tensor]) -> LabelledGraph:
        return cls(AtomGraph(*tensors[:_GRAPH_TENSORS]), *tensors[_GRAPH_TENSORS:])

    @property
    def num_atoms_of(self) -> Tensor:
        """Number of atoms of each structure, shape (B,)."""
        ones = torch.ones_like(self.graph.batch)
        return torch.zeros_like(self.has_energy, dtype=torch.int64).index_add(
            0, self.graph.batch, ones
        )

    def rows(self, target: str) -> Tensor:
        """Which rows of a target carry a label: atoms (N,) for forces, structures (B,) else."""
        has = getattr(self, f"has_{target}")
        return has[self.graph.batch] if target == "forces" else has

    def error(self, target: str, predicted: Tensor) -> Tensor:
        """Errors of a target by row: energy per atom (B, 1), forces (N, 3), stress (B, 9)."""
        error = predicted - getattr(self, target)
        if target == "energy":
            return (error / self.num_atoms_of)[:, None]
        return error.flatten(1)

    def pad(self, num_atoms: int, num_edges: int, cutoff: float) -> LabelledGraph:
        """Grow to fixed sizes by a ghost structure without labels, see :meth:`AtomGraph.pad`."""
        ghosts = num_atoms - self.graph.num_atoms
        return LabelledGraph(
            graph=self.graph.pad(num_atoms, num_edges, cutoff),
            energy=pad(self.energy, (0, 1)),
            forces=pad(self.forces, (0, 0, 0, ghosts)),
            stress=pad(self.stress, (0, 0, 0, 0, 0, 1)),
            has_energy=pad(self.has_energy, (0, 1)),
            has_forces=pad(self.has_forces, (0, 1)),
            has_stress=pad(self.has_stress, (0, 1)),
        )

    def to(self, device: torch.device | str) -> LabelledGraph:
        moved = {entry.name: getattr(self, entry.name).to(device) for entry in fields(self)}
        return replace(self, **moved)
