"""Potentials as models of torch-sim, which moves many structures in one batch.

Written for torch-sim 0.3, the last release for Python 3.11, and for those from 0.6 on, where the
boundaries are a tensor and forward takes a state only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.neighbors import batched_neighbor_list, batched_pair_list
from ase_geomformer.physics import Boundaries
from ase_geomformer.runtime.prepared import Source, prepare
from ase_geomformer.runtime.settings import takes_settings

try:
    from torch_sim.models.interface import ModelInterface
    from torch_sim.typing import MemoryScaling
except ImportError as error:
    raise ImportError("torch-sim is not installed: pip install 'ase-geomformer[torchsim]'") from (
        error
    )


@takes_settings
class TorchSimModel(ModelInterface):
    """A potential as a model of torch-sim.

    Energies, forces and stresses are those of the calculator. Structures are neutral, with all
    electrons paired, unless ``charge`` or ``spin`` says otherwise for all of them.

    Parameters
    ----------
    potential : str, path, Potential or PreparedPotential
    charge, spin : float
        Total charge in e and spin multiplicity 2S+1 of every structure.

    Raises
    ------
    ValueError
        If the potential's forces are no gradient of its energy, so that it has no stress.
    """

    def __init__(
        self, potential: Source, *, charge: float = 0.0, spin: float = 1.0, **keywords: Any
    ) -> None:
        super().__init__()
        self.prepared = prepare(potential, **keywords)
        if not self.prepared.potential.conservative:
            raise ValueError(f"{self.prepared.name} predicts forces directly and has no stress")
        self._electrons = charge, spin
        self._device, self._dtype = self.prepared.device, self.prepared.dtype
        self._compute_forces = self._compute_stress = True
        known = getattr(MemoryScaling, "__args__", ())
        self._memory_scales_with = "n_edges" if "n_edges" in known else "n_atoms_x_density"

    @property
    def retain_graph(self) -> bool:
        """Results are detached."""
        return False

    def forward(self, state: Any, **_: Any) -> dict[str, Tensor]:
        """Energy (B,) in eV, forces (N, 3) in eV/Å and stress (B, 3, 3) in eV/Å^3, of a state.

        Raises
        ------
        ValueError
            If the potential does not know an element.
        """
        if isinstance(state, dict):
            import torch_sim

            state = torch_sim.SimState(**{"masses": None, **state})
        periodic = torch.as_tensor(state.pbc, dtype=torch.bool).reshape(-1).expand(3).tolist()
        first, second, third = periodic
        boundaries: Boundaries = (first, second, third)
        prepared = self.prepared.fitting(boundaries)
        prepared.potential.check_elements(state.atomic_numbers.unique().tolist())
        graph = self._graph(state, boundaries, prepared.potential.far_cutoff)
        with torch.inference_mode(False):
            found = prepared(graph, ("energy", "forces", "stress"))
        dtype = state.positions.dtype
        # A structure without a volume has no stress, and torch-sim expects numbers.
        stress = found["stress"].nan_to_num(0.0)
        found = {"energy": found["energy"], "forces": found["forces"], "stress": stress}
        return {name: value.detach().to(dtype) for name, value in found.items()}

    def _graph(self, state: Any, boundaries: Boundaries, far_cutoff: float) -> AtomGraph:
        """The states' structures as one graph."""
        place = state.positions.detach().to(self._device, torch.float64)
        cell = state.row_vector_cell.detach().to(self._device, torch.float64)
        batch = state.system_idx.to(self._device)
        pbc = torch.tensor(boundaries).expand(len(cell), 3)
        edges = batched_neighbor_list(place, cell, pbc, batch, self.prepared.potential.cutoff)
        pairs = {}
        if far_cutoff:
            far = batched_pair_list(place, cell, pbc, batch, far_cutoff)
            vectors = far.vectors(place, cell, batch).to(self._dtype)
            pairs = {"far_index": far.edge_index, "far_vectors": vectors}
        charge, spin = self._electrons
        return AtomGraph(
            atomic_numbers=state.atomic_numbers.to(self._device, torch.int64),
            edge_index=edges.edge_index,
            edge_vectors=edges.vectors(place, cell, batch).to(self._dtype),
            batch=batch,
            charge=torch.full((len(cell),), charge, device=self._device, dtype=self._dtype),
            spin=torch.full((len(cell),), spin, device=self._device, dtype=self._dtype),
            cell=cell.to(self._dtype),
            positions=place.to(self._dtype),
            **pairs,
        )
