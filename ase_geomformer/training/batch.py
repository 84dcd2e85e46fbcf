"""Batches of structures with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.padding import pad_graph

_GRAPH_TENSORS = len(fields(AtomGraph))

BY_ATOM = ("forces", "charges")
"""Targets with one label for each atom; the others have one for each structure."""


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
    charges : Tensor, shape (N,), e
    dipole : Tensor, shape (B, 3), e Å
    has_energy, has_forces, has_stress, has_charges, has_dipole : Tensor, shape (B,), bool
        Which structures carry the label; where they do not, the label is zero.
    """

    graph: AtomGraph
    energy: Tensor
    forces: Tensor
    stress: Tensor
    charges: Tensor
    dipole: Tensor
    has_energy: Tensor
    has_forces: Tensor
    has_stress: Tensor
    has_charges: Tensor
    has_dipole: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, those of the graph first; the inverse is :meth:`from_tensors`."""
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
        """Which rows of a target carry a label: atoms (N,) or structures (B,)."""
        has = getattr(self, f"has_{target}")
        return has[self.graph.batch] if target in BY_ATOM else has

    def error(self, target: str, results: Mapping[str, Tensor]) -> Tensor:
        """Errors of a target by row, for the results of a potential for :attr:`graph`.

        Energy per atom (B, 1), forces (N, 3), stress (B, 9), charges (N, 1), dipole (B, 3).
        """
        if target == "dipole":
            moments = results["charges"][:, None] * self.graph.positions
            return self.graph.structures.sum(moments) - self.dipole
        error = results[target] - getattr(self, target)
        if target == "energy":
            error = error / self.num_atoms_of
        return error.reshape(error.shape[0], -1)

    def pad(
        self, num_atoms: int, num_edges: int, cutoff: float, num_far_pairs: int | None = None
    ) -> LabelledGraph:
        """Grow to fixed sizes by a ghost structure without labels, see :func:`pad_graph`."""
        ghosts = num_atoms - self.graph.num_atoms
        return LabelledGraph(
            graph=pad_graph(self.graph, num_atoms, num_edges, cutoff, num_far_pairs),
            energy=pad(self.energy, (0, 1)),
            forces=pad(self.forces, (0, 0, 0, ghosts)),
            stress=pad(self.stress, (0, 0, 0, 0, 0, 1)),
            charges=pad(self.charges, (0, ghosts)),
            dipole=pad(self.dipole, (0, 0, 0, 1)),
            has_energy=pad(self.has_energy, (0, 1)),
            has_forces=pad(self.has_forces, (0, 1)),
            has_stress=pad(self.has_stress, (0, 1)),
            has_charges=pad(self.has_charges, (0, 1)),
            has_dipole=pad(self.has_dipole, (0, 1)),
        )

    def to(self, device: torch.device | str) -> LabelledGraph:
        moved = {entry.name: getattr(self, entry.name).to(device) for entry in fields(self)}
        return replace(self, **moved)
