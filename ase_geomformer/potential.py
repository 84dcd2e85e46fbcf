"""Potential: an architecture with its energy scale and zero, giving energy, forces and stress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from ase.data import atomic_numbers as NUMBER_OF
from ase.data import chemical_symbols
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture, build
from ase_geomformer.graph import AtomGraph
from ase_geomformer.layers.segment import segment_sum
from ase_geomformer.physics import EnergyTerm, build_terms

if TYPE_CHECKING:
    from ase_geomformer.checkpoint import Card

ENERGY_PROPERTIES = ("energy", "energies")
GRADIENT_PROPERTIES = ("forces", "stress", "stresses")
PROPERTIES = ENERGY_PROPERTIES + GRADIENT_PROPERTIES


class Potential(nn.Module):
    """A conservative interatomic potential.

    Energy of an atom: ``energy_scale`` times the architecture's output, plus the reference
    energy of its element, plus terms of known form. One gradient with respect to the edge
    vectors r_ij gives the rest: forces scatter dE/dr_ij to both ends of the edge, and
    sum r_ij (x) dE/dr_ij is the derivative with respect to strain.

    Parameters
    ----------
    architecture : Architecture
    elements : iterable of str or int
        Elements the potential was made for, as symbols or atomic numbers.
    reference_energies : mapping of str to float, optional
        Energy in eV of one atom of each element, by symbol; zero where left out.
    energy_scale : float
        Energy in eV of one unit of the architecture's output.
    terms : mapping of str to EnergyTerm, optional
        Further energies by registered name, see :func:`ase_geomformer.physics.build_terms`.
    card : Card, optional
        Where the potential comes from; filled in by loading.
    """

    reference_table: Tensor

    def __init__(
        self,
        architecture: Architecture,
        elements: Iterable[str | int],
        *,
        reference_energies: Mapping[str, float] | None = None,
        energy_scale: float = 1.0,
        terms: Mapping[str, EnergyTerm] | None = None,
        card: Card | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.elements = tuple(sorted({_atomic_number(element) for element in elements}))
        if not self.elements:
            raise ValueError("a potential needs at least one element")
        self.reference_energies = dict(reference_energies or {})
        self.energy_scale = float(energy_scale)
        self.terms = nn.ModuleDict(terms or {})
        for name, term in (terms or {}).items():
            if term.cutoff > self.cutoff:
                raise ValueError(
                    f"the term {name!r} reaches {term.cutoff} Å, further than the "
                    f"architecture's cutoff of {self.cutoff} Å"
                )
        self.card = card
        table = torch.zeros(len(chemical_symbols), dtype=torch.float64)
        for symbol, energy in self.reference_energies.items():
            table[_atomic_number(symbol)] = energy
        self.reference_table = table

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Potential:
        # Total energies of thousands of eV must not be rounded to float32 along with the
        # weights: the table follows the weights to their device and keeps its type.
        super()._apply(fn, recurse)
        self.reference_table = self.reference_table.to(self.device)
        return self

    @property
    def cutoff(self) -> float:
        """Radius in Å of the edges the potential expects."""
        return self.architecture.cutoff

    @property
    def device(self) -> torch.device:
        return next(self.architecture.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type in which the architecture computes; energies are always summed in float64."""
        return next(self.architecture.parameters()).dtype

    @property
    def terms_settings(self) -> dict[str, dict[str, Any]]:
        """Settings of the further energy terms by name, as plain values."""
        return {
            name: cast(EnergyTerm, term).settings_dict() for name, term in self.terms.items()
        }

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbols of :attr:`elements`."""
        return tuple(chemical_symbols[number] for number in self.elements)

    def check_elements(self, atomic_numbers: Iterable[int]) -> None:
        """Raise ValueError if the potential does not know one of the elements."""
        unknown = sorted({int(number) for number in atomic_numbers} - set(self.elements))
        if unknown:
            names = ", ".join(
                f"{chemical_symbols[number]} (Z={number})"
                if 0 < number < len(chemical_symbols)
                else f"Z={number}"
                for number in unknown
            )
            raise ValueError(
                f"the potential does not know {names}; it was made for {', '.join(self.symbols)}"
            )

    def forward(
        self,
        graph: AtomGraph,
        properties: Iterable[str] = ("energy", "forces"),
        *,
        create_graph: bool = False,
    ) -> dict[str, Tensor]:
        """Evaluate a graph; only what is asked for is computed.

        Parameters
        ----------
        graph : AtomGraph
            On the potential's device and in its dtype, with edges up to its cutoff.
        properties : iterable of str
            Of ``energy`` (B,) and ``energies`` (N,), eV, float64; ``forces`` (N, 3), eV/Å;
            ``stress`` (B, 3, 3) and its per-atom parts ``stresses`` (N, 3, 3), eV/Å^3, tensile
            positive, NaN for a structure whose cell has no volume.
        create_graph : bool
            Keep forces and stress differentiable, as training on them needs.

        Returns
        -------
        dict of str to Tensor
        """
        wanted = set(properties)
        unknown = wanted - set(PROPERTIES)
        if unknown:
            raise ValueError(f"unknown properties {sorted(unknown)}; choose from {PROPERTIES}")
        if not wanted & set(GRADIENT_PROPERTIES):
            results = self._energies(graph)
            return {name: results[name] for name in wanted}
        with torch.enable_grad():
            vectors = graph.edge_vectors.detach().requires_grad_()
            graph = replace(graph, edge_vectors=vectors)
            results = self._energies(graph)
            (slope,) = torch.autograd.grad(
                results["energy"].sum(),
                vectors,
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
            for name in wanted & set(GRADIENT_PROPERTIES):
                results[name] = _FROM_SLOPE[name](graph, slope)
        return {name: results[name] if create_graph else results[name].detach() for name in wanted}

    def _energies(self, graph: AtomGraph) -> dict[str, Tensor]:
        """Energies of atoms (N,) and structures (B,) in eV, in float64."""
        outputs = self.architecture(graph)
        energies = self.energy_scale * outputs["energies"].double()
        energies = energies + self.reference_table[graph.atomic_numbers]
        for term in self.terms.values():
            energies = energies + term(graph, outputs).double()
        return {
            "energies": energies,
            "energy": segment_sum(energies, graph.batch, graph.num_structures),
        }

    def copy(
        self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Potential:
        """An independent, frozen copy for evaluation, on another device or in another type.

        The architecture is built anew, so that its fixed constants are exact in the new type
        even if this potential has been through float32.
        """
        with torch.random.fork_rng(devices=[]):
            architecture = build(self.architecture.name, self.architecture.settings_dict())
        copy = Potential(
            architecture,
            self.elements,
            reference_energies=self.reference_energies,
            energy_scale=self.energy_scale,
            terms=build_terms(self.terms_settings),
            card=self.card,
        )
        copy.load_state_dict(self.state_dict())
        copy.to(device=device or self.device, dtype=dtype or self.dtype)
        return copy.requires_grad_(False).eval()


def _forces(graph: AtomGraph, slope: Tensor) -> Tensor:
    """Forces (N, 3): r_ij = r_j - r_i, so i is pulled along +dE/dr_ij and j along the reverse."""
    ends = graph.edge_index.flatten()
    return segment_sum(torch.cat([slope, -slope]), ends, graph.num_atoms)


def _edge_virials(graph: AtomGraph, slope: Tensor) -> Tensor:
    """Derivative of the energy with respect to strain by edge (E, 3, 3)."""
    outer = graph.edge_vectors[:, :, None] * slope[:, None, :]
    # Antisymmetric parts cancel in the sum of a rotation-invariant energy; drop their noise.
    return 0.5 * (outer + outer.mT)


def _stress(graph: AtomGraph, slope: Tensor) -> Tensor:
    owner = graph.batch[graph.edge_index[0]]
    virial = segment_sum(_edge_virials(graph, slope), owner, graph.num_structures)
    return virial / _volume_or_nan(graph)[:, None, None]


def _stresses(graph: AtomGraph, slope: Tensor) -> Tensor:
    """Stress by atom: each edge is shared equally by its two ends."""
    half = 0.5 * _edge_virials(graph, slope)
    virials = segment_sum(torch.cat([half, half]), graph.edge_index.flatten(), graph.num_atoms)
    return virials / _volume_or_nan(graph)[graph.batch, None, None]


def _volume_or_nan(graph: AtomGraph) -> Tensor:
    return torch.where(graph.volume > 0.0, graph.volume, torch.nan)


_FROM_SLOPE: dict[str, Callable[[AtomGraph, Tensor], Tensor]] = {
    "forces": _forces,
    "stress": _stress,
    "stresses": _stresses,
}


def _atomic_number(element: Any) -> int:
    """Atomic number of a symbol or number, refusing what is not an element."""
    number = NUMBER_OF.get(element) if isinstance(element, str) else int(element)
    if number is None or not 0 < number < len(chemical_symbols):
        raise ValueError(f"{element!r} is not a chemical element")
    return number
