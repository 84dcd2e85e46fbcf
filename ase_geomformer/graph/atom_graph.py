"""AtomGraph: atoms and the edges between them, as tensors of declared shapes.

The edge convention of the whole package is stated here, once: edge ``e`` joins the
receiver (centre) ``i = edge_index[0, e]`` to the sender ``j = edge_index[1, e]`` seen through
the periodic image ``S``, and its vector is ``r_ij = r_j + S @ cell - r_i``. Both directions of
every pair are present, edges are ordered by (i, j, S), and no atom is joined to itself
with ``S = 0``. Architectures read edge vectors only, never positions, so that one gradient with
respect to them gives forces, virial and per-atom virials.

Energies of known form that reach further, such as electrostatics, have pairs of their own. As they
are symmetric in i and j, each of these far pairs is present once, as
:func:`~ase_geomformer.neighbors.pair_list` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import ClassVar, Self, cast

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from ase_geomformer.graph.segments import Segments
from ase_geomformer.graph.structure import electrons, geometry
from ase_geomformer.neighbors import MeasuredEdges, neighbor_list, pair_list


@dataclass(frozen=True, eq=False)
class AtomGraph:
    """One or many structures as a graph of N atoms, E edges, P far pairs and B structures.

    Attributes
    ----------
    atomic_numbers : Tensor, shape (N,), int64
    edge_index : Tensor, shape (2, E), int64
        Receiver and sender of every edge, ordered by receiver.
    edge_vectors : Tensor, shape (E, 3), floating, Å
        From receiver to sender; see the module's convention.
    batch : Tensor, shape (N,), int64
        Index of the structure each atom belongs to, not decreasing.
    charge : Tensor, shape (B,), floating, e
        Total charge of each structure.
    spin : Tensor, shape (B,), floating
        Spin multiplicity 2S+1 of each structure.
    cell : Tensor, shape (B, 3, 3), floating, Å
        Lattice vectors in rows; all zero for a molecule.
    far_index : Tensor, shape (2, P), int64
        First and second atom of every far pair, ordered by the first. None by default.
    far_vectors : Tensor, shape (P, 3), floating, Å
        From the first atom to the second.
    positions : Tensor, shape (N, 3) or (0, 3), floating, Å
        For sums over the reciprocal lattice, which know no pairs; empty by default.
    """

    # Whether each edge stands for both directions; whether each comes with its reverse, as a
    # domain's do not; whether edges are ordered by their receivers.
    is_paired: ClassVar[bool] = False
    has_reverses: ClassVar[bool] = True
    in_order: ClassVar[bool] = True

    atomic_numbers: Tensor
    edge_index: Tensor
    edge_vectors: Tensor
    batch: Tensor
    charge: Tensor
    spin: Tensor
    cell: Tensor
    # Left out, they become empty tensors with the device and dtype of the edges.
    far_index: Tensor = None  # type: ignore[assignment]
    far_vectors: Tensor = None  # type: ignore[assignment]
    positions: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if cast("Tensor | None", self.far_index) is None:
            object.__setattr__(self, "far_index", self.edge_index.new_zeros(2, 0))
            object.__setattr__(self, "far_vectors", self.edge_vectors.new_zeros(0, 3))
        if cast("Tensor | None", self.positions) is None:
            object.__setattr__(self, "positions", self.edge_vectors.new_zeros(0, 3))
        atoms, edges, structures = self.num_atoms, self.num_edges, self.num_structures
        shapes = {
            "atomic_numbers": (atoms,),
            "edge_index": (2, edges),
            "edge_vectors": (edges, 3),
            "batch": (atoms,),
            "charge": (structures,),
            "spin": (structures,),
            "cell": (structures, 3, 3),
            "far_index": (2, self.num_far_pairs),
            "far_vectors": (self.num_far_pairs, 3),
            "positions": (atoms if self.positions.shape[0] else 0, 3),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                found = tuple(getattr(self, name).shape)
                raise ValueError(f"AtomGraph.{name} has shape {found}, expected {shape}")

    @property
    def num_atoms(self) -> int:
        return self.atomic_numbers.shape[0]

    @property
    def num_edges(self) -> int:
        return self.edge_vectors.shape[0]

    @property
    def num_far_pairs(self) -> int:
        return self.far_vectors.shape[0]

    @property
    def num_structures(self) -> int:
        return self.charge.shape[0]

    @property
    def receivers(self) -> Segments:
        """The edges by their receiver."""
        return Segments.of(self.edge_index[0], self.num_atoms, in_order=self.in_order)

    @property
    def senders(self) -> Segments:
        """The edges by their sender."""
        return Segments.of(self.edge_index[1], self.num_atoms)

    @property
    def structures(self) -> Segments:
        """The atoms by their structure."""
        return Segments.of(self.batch, self.num_structures, in_order=True)

    @property
    def lacks_far_pairs(self) -> bool:
        """Whether there are edges and, though pairs may be further apart, no far pairs."""
        return bool(self.num_edges and not self.num_far_pairs)

    def ends(self, index: Tensor) -> Segments:
        """Both ends (2, P) of edges or pairs by atom, the first ones before the second ones."""
        return Segments.of(index.flatten(), self.num_atoms)

    def by_structure(self, atoms: Tensor) -> Segments:
        """Members by the structure of the atoms that they belong to."""
        return Segments.of(self.batch[atoms], self.num_structures)

    def own(self, values: Tensor) -> Tensor:
        """The rows (N, ...) that count for this graph: all, but for domains of a structure."""
        return values

    @property
    def volume(self) -> Tensor:
        """Cell volumes in Å^3, shape (B,); zero where a structure has no full cell."""
        # A determinant of three vectors; a general one factorizes, and waits for a GPU to do it.
        first, second, third = self.cell.unbind(1)
        return (first * torch.linalg.cross(second, third)).sum(dim=1).abs()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors in the order of the fields: ``AtomGraph(*graph.tensors)`` is the graph."""
        return _all_tensors(self)

    @classmethod
    def from_atoms(
        cls,
        atoms: Atoms | Sequence[Atoms],
        cutoff: float,
        *,
        far_cutoff: float = 0.0,
        neighbors: str = "auto",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> AtomGraph:
        """Build the graph of one structure or a batch of several.

        Parameters
        ----------
        atoms : ase.Atoms or sequence of ase.Atoms
        cutoff : float
            Edges join atoms at most this far apart, Å.
        far_cutoff : float
            Far pairs are at most this far apart, Å; none by default, all pairs of structures
            without periodic boundaries where it is infinite.
        neighbors : str
            Backend of the neighbour list, see :func:`ase_geomformer.neighbors.neighbor_list`.
        device, dtype
            Device of the graph, and dtype of its floating tensors. Edge vectors are
            differences taken in float64 and rounded afterwards, so that a molecule far from
            the origin loses no digits.

        Raises
        ------
        ValueError
            If a structure is empty, has non-finite positions or cell, the cutoff is not positive,
            or the far cutoff is infinite and a structure is periodic.
        """
        structures = [atoms] if isinstance(atoms, Atoms) else list(atoms)
        if not structures:
            raise ValueError("no structures given: the list of Atoms is empty")
        graphs = []
        for structure in structures:
            positions, cell, pbc = geometry(structure, device)
            found = neighbor_list(positions, cell, pbc, cutoff, backend=neighbors)
            edges, far = found.measured(positions, cell), None
            if far_cutoff:
                found = pair_list(positions, cell, pbc, far_cutoff, backend=neighbors)
                far = found.measured(positions, cell)
            graph = cls.from_neighbors(structure, edges, positions, cell, far=far, dtype=dtype)
            graphs.append(graph)
        return cls.join(graphs)

    @classmethod
    def from_neighbors(
        cls,
        atoms: Atoms,
        edges: MeasuredEdges,
        positions: Tensor,
        cell: Tensor,
        *,
        far: MeasuredEdges | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> AtomGraph:
        """The graph of one structure whose neighbours, and far pairs if any, are already known.

        ``positions`` (N, 3) and ``cell`` (3, 3) are float64 and decide the device.
        """
        total, device = electrons(atoms), positions.device
        numbers = torch.as_tensor(atoms.get_atomic_numbers(), dtype=torch.int64, device=device)
        pairs = {}
        if far is not None:
            pairs = {"far_index": far.edges.edge_index, "far_vectors": far.vectors.to(dtype)}
        return cls(
            atomic_numbers=numbers,
            edge_index=edges.edges.edge_index,
            edge_vectors=edges.vectors.to(dtype),
            batch=torch.zeros_like(numbers),
            charge=torch.tensor([total["charge"]], dtype=dtype, device=device),
            spin=torch.tensor([total["spin"]], dtype=dtype, device=device),
            cell=cell.to(dtype).reshape(1, 3, 3),
            positions=positions.to(dtype),
            **pairs,
        )

    def moved(
        self, edges: MeasuredEdges, positions: Tensor, far: MeasuredEdges | None = None
    ) -> AtomGraph:
        """The graph of the same atoms elsewhere, in the same cell.

        What does not depend on positions is shared, and need not cross to the device again. The
        arguments are those of :meth:`from_neighbors`.
        """
        dtype = self.edge_vectors.dtype
        # A search gives the shapes that a graph must have; checking them takes longer than this.
        graph = object.__new__(AtomGraph)
        graph.__dict__.update(self.__dict__)
        graph.__dict__.update(
            edge_index=edges.edges.edge_index,
            edge_vectors=edges.vectors.to(dtype),
            positions=positions.to(dtype),
        )
        if far is not None:
            graph.__dict__.update(far_index=far.edges.edge_index, far_vectors=far.vectors.to(dtype))
        elif self.num_far_pairs:
            raise ValueError("the graph has far pairs: give those of the atoms where they are now")
        return graph

    def both_ways(self) -> AtomGraph:
        """The graph with both directions of every edge: itself."""
        return self

    @classmethod
    def join(cls, graphs: Sequence[AtomGraph]) -> AtomGraph:
        """One graph holding the structures of all ``graphs``, in order."""
        if len(graphs) == 1:
            return graphs[0]
        atoms_before = np.cumsum([0, *(graph.num_atoms for graph in graphs)])
        structures_before = np.cumsum([0, *(graph.num_structures for graph in graphs)])
        shifted = [
            replace(
                graph,
                edge_index=graph.edge_index + int(a),
                far_index=graph.far_index + int(a),
                batch=graph.batch + int(s),
            )
            for graph, a, s in zip(graphs, atoms_before, structures_before, strict=False)
        ]
        columns = zip(*(graph.tensors for graph in shifted), strict=True)
        return cls(*(torch.cat(column, axis) for axis, column in zip(AXES, columns, strict=True)))

    def split(self) -> Iterator[Self]:
        """The structures of the batch as single graphs, in order: the inverse of :meth:`join`."""
        atom_counts = torch.bincount(self.batch, minlength=self.num_structures).tolist()
        edge_counts, far_counts = (
            torch.bincount(self.batch[first], minlength=self.num_structures).tolist()
            for first in (self.edge_index[0], self.far_index[0])
        )
        atom = edge = far = 0
        counts = zip(atom_counts, edge_counts, far_counts, strict=True)
        for index, (n, e, f) in enumerate(counts):
            yield type(self)(
                atomic_numbers=self.atomic_numbers[atom : atom + n],
                edge_index=self.edge_index[:, edge : edge + e] - atom,
                edge_vectors=self.edge_vectors[edge : edge + e],
                batch=torch.zeros_like(self.batch[atom : atom + n]),
                charge=self.charge[index : index + 1],
                spin=self.spin[index : index + 1],
                cell=self.cell[index : index + 1],
                far_index=self.far_index[:, far : far + f] - atom,
                far_vectors=self.far_vectors[far : far + f],
                positions=self.positions[atom : atom + n],
            )
            atom, edge, far = atom + n, edge + e, far + f

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """The graph on another device, with another floating dtype."""
        return type(self)(
            *(
                tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
                for tensor in self.tensors
            )
        )


_NAMES = tuple(field.name for field in fields(AtomGraph))
_all_tensors: Callable[[AtomGraph], tuple[Tensor, ...]] = attrgetter(*_NAMES)
# Along which the tensors of a graph grow.
AXES = [1 if name in ("edge_index", "far_index") else 0 for name in _NAMES]
