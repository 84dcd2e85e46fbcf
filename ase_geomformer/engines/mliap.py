"""Potentials in LAMMPS' own pair loop, by its unified interface ML-IAP; for GPU builds with Kokkos.

Not run against a real build of LAMMPS yet: tested against a stand-in for the data object of
``pair_style mliap unified``. There is nothing to load from a file: the object is made in Python,
from a potential by its name, and handed over with ``lammps.mliap.load_unified_kokkos``. Exchange
of features is part of the Kokkos version alone, on CPUs as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor

from ase_geomformer.engines.domain import check_divisible
from ase_geomformer.graph.domain import DomainGraph
from ase_geomformer.layers.embedding import ElectronEmbedding
from ase_geomformer.runtime.prepared import Source, prepare

try:
    from lammps.mliap.mliap_unified_abc import MLIAPUnified
except (ImportError, OSError) as error:  # OSError: Python without its shared library
    raise ImportError(
        f"LAMMPS' Python package cannot be loaded ({error}); build LAMMPS with PYTHON, ML-IAP and "
        "KOKKOS for this Python, and install its package"
    ) from error


class MLIAPPotential(MLIAPUnified):
    """A potential as LAMMPS calls it: ``pair_coeff * * Si O ...`` in the order of ``elements``.

    Parameters
    ----------
    potential : str, path, Potential or PreparedPotential
    elements : sequence of str
    **keywords
        :class:`~ase_geomformer.runtime.settings.CalculatorSettings`.

    Raises
    ------
    ValueError
        If the potential needs what ML-IAP does not hand over: far pairs, or sums over all
        processes.
    """

    def __init__(self, potential: Source, elements: Sequence[str], **keywords: Any) -> None:
        super().__init__()
        prepared = prepare(potential, **keywords)
        check_divisible(prepared.potential)
        if prepared.potential.far_cutoff or len(prepared.potential.architecture.outputs) > 1:
            raise ValueError(
                f"{prepared.name} has long-range terms or charges, which ML-IAP cannot sum over "
                "processes; use ase_geomformer.engines.lammps"
            )
        if any(isinstance(module, ElectronEmbedding) for module in prepared.potential.modules()):
            raise ValueError(f"{prepared.name} needs the total charge or spin of all atoms")
        self._prepared = prepared
        numbers = [atomic_numbers[symbol] for symbol in elements]
        prepared.potential.check_elements(numbers)
        self._numbers = torch.tensor(numbers, device=prepared.device)
        self.element_types = list(elements)
        self.ndescriptors = self.nparams = 1
        # LAMMPS doubles it.
        self.rcutfac = 0.5 * prepared.potential.cutoff

    def compute_forces(self, data: Any) -> None:
        """Energies of the local atoms and dE/dr_ij of their pairs."""
        device, dtype = self._prepared.device, self._prepared.dtype
        local, pairs = int(data.nlocal), int(data.npairs)
        first, second, vectors = (
            torch.as_tensor(array, device=device)[:pairs]
            for array in (data.pair_i, data.pair_j, data.rij)
        )
        order = first.long().argsort(stable=True)
        numbers = self._numbers[torch.as_tensor(data.elems, device=device).long()[:local]]
        edges = vectors[order].to(dtype)
        graph = DomainGraph(
            atomic_numbers=numbers,
            edge_index=torch.stack([first, second]).long()[:, order],
            edge_vectors=edges,
            batch=torch.zeros_like(numbers),
            charge=edges.new_zeros(1),
            spin=edges.new_ones(1),
            cell=edges.new_zeros(1, 3, 3),
            links=_Links(data),
        )
        with torch.inference_mode(False), torch.enable_grad():
            leaf = edges.detach().clone().requires_grad_()
            terms = self._prepared.potential.energy_terms(replace(graph, edge_vectors=leaf))
            energies = torch.stack(list(terms.values())).sum(dim=0)
            (slope,) = torch.autograd.grad(
                energies.sum(), leaf, allow_unused=True, materialize_grads=True
            )
        data.energy = float(energies.sum())
        torch.as_tensor(data.eatoms, device=device)[:local] = energies.detach()
        # In LAMMPS' order of pairs.
        forces = torch.empty(pairs, 3, dtype=torch.float64, device=device)
        forces[order] = slope.double()
        data.update_pair_forces(forces.cpu().numpy() if device.type == "cpu" else forces)

    def pickle(self, fname: str) -> None:
        """Refuse to write weights as a pickle."""
        raise NotImplementedError(
            f"the potential is not written to {fname}: make it in Python, and hand it to "
            "lammps.mliap.load_unified_kokkos"
        )

    def compute_descriptors(self, data: Any) -> None:
        """Nothing: the potential has no descriptors apart from its energies."""

    def compute_gradients(self, data: Any) -> None:
        """Nothing, for the same reason."""


class _Links:
    """The exchange that the data object offers, as domains call it."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.num_local = int(data.nlocal)
        self.num_ghosts = int(data.ntotal) - self.num_local

    def fetch(self, rows: Tensor) -> Tensor:
        """Rows of the ghosts from those of the local atoms."""
        whole = torch.cat([rows.detach(), rows.new_zeros(self.num_ghosts, rows.shape[1])])
        return self._exchanged(self._data.forward_exchange, whole)[self.num_local :]

    def deliver(self, rows: Tensor) -> Tensor:
        """What all domains have for the local atoms."""
        whole = torch.cat([rows.new_zeros(self.num_local, rows.shape[1]), rows.detach()])
        return self._exchanged(self._data.reverse_exchange, whole)[: self.num_local]

    def total(self, values: Tensor) -> Tensor:
        """Not offered."""
        raise NotImplementedError("ML-IAP cannot sum over processes")

    def _exchanged(self, exchange: Any, whole: Tensor) -> Tensor:
        received = torch.empty_like(whole)
        exchange(whole.contiguous(), received, whole.shape[1])
        return received
