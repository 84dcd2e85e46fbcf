"""Potential: an architecture with its energy scale and zero, giving energy, forces and stress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Protocol, cast

import torch
from ase.data import atomic_numbers as NUMBER_OF
from ase.data import chemical_symbols
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture, build
from ase_geomformer.confidence.statistics import Confidence
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.derivatives import FROM_SLOPE, Slope, strained
from ase_geomformer.layers.written_gradient import by_formula
from ase_geomformer.machine.notebook import table_html
from ase_geomformer.physics import (
    Boundaries,
    EnergyTerm,
    Ewald,
    LongRangeCutoff,
    build_terms,
    with_ewald_sum,
    with_long_range_cutoff,
)
from ase_geomformer.physics.reciprocal import Multiples, Waves

ENERGY_PROPERTIES = ("energy", "energies")
GRADIENT_PROPERTIES = tuple(FROM_SLOPE)
PROPERTIES = ENERGY_PROPERTIES + GRADIENT_PROPERTIES
# An architecture's output of this name takes the place of the energy's gradient.
DIRECT_FORCES = "direct_forces"
# The energies of atoms whose gradient counts towards the forces.
_SLOPING = "sloping energies"


class PotentialCard(Protocol):
    """What a potential knows of the card that it was loaded with."""

    @property
    def name(self) -> str:
        """Registered name."""

    @property
    def sha256(self) -> str:
        """Checksum of the weights."""

    @property
    def level_of_theory(self) -> str:
        """That of the training data."""


class Potential(nn.Module):
    """An interatomic potential.

    Energy of an atom: ``energy_scale`` times the architecture's output, plus the reference
    energy of its element, plus terms of known form. One gradient with respect to the vectors r_ij
    of edges and far pairs gives the rest: forces scatter dE/dr_ij to both ends of the edge, and
    sum r_ij (x) dE/dr_ij is the derivative with respect to strain.

    An architecture with the output ``direct_forces`` (N, 3), in energy scales per Å, predicts
    forces instead. They are no gradient of the energy, so that such a potential does not conserve
    energy and has no stress; see :attr:`conservative`. Its terms add their own gradients.

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
    confidence : Confidence, optional
        Statistics of its training data; filled in by loading.
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
        card: PotentialCard | None = None,
        confidence: Confidence | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.elements = tuple(sorted({_atomic_number(element) for element in elements}))
        if not self.elements:
            raise ValueError("a potential needs at least one element")
        self.energy_scale = float(energy_scale)
        self.terms = nn.ModuleDict(terms or {})
        for name, term in (terms or {}).items():
            if term.cutoff > self.cutoff:
                raise ValueError(
                    f"the term {name!r} reaches {term.cutoff} Å, further than the "
                    f"architecture's cutoff of {self.cutoff} Å"
                )
            missing = sorted(set(term.requires) - set(architecture.outputs))
            if missing:
                raise ValueError(
                    f"the term {name!r} needs {', '.join(missing)}, and {architecture.name} with "
                    f"these settings gives {', '.join(architecture.outputs)}"
                )
        self.card, self.confidence = card, confidence
        self.set_reference_energies(reference_energies or {})

    def _repr_html_(self) -> str:
        """What the potential is, as Jupyter shows it."""
        numbers = sum(parameter.numel() for parameter in self.parameters())
        rows = [
            ("elements", " ".join(self.symbols)),
            ("architecture", type(self.architecture).__name__),
            ("parameters", f"{numbers:,}"),
            ("cutoff", f"{self.cutoff:g} Å"),
            ("further energies", ", ".join(self.terms) or "none"),
            (
                "forces",
                "conservative" if self.conservative else "direct: no gradient of the energy",
            ),
            ("dtype, device", f"{self.dtype}, {self.device}"),
        ]
        title = "potential"
        if (card := self.card) is not None:
            title = card.name
            rows.append(("trained on", card.level_of_theory))
        return table_html(title, [row for row in rows if row[1]])

    def set_reference_energies(self, energies: Mapping[str, float]) -> None:
        """Count energies from those of single atoms, eV by symbol; zero for what is not there."""
        self.reference_energies = dict(energies)
        table = torch.zeros(len(chemical_symbols), dtype=torch.float64)
        for symbol, energy in energies.items():
            table[_atomic_number(symbol)] = energy
        self.reference_table = table.to(self.device)

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
    def far_cutoff(self) -> float:
        """Radius in Å of the far pairs the potential expects: 0 for none, infinite for all."""
        terms = (cast(EnergyTerm, term).far_cutoff for term in self.terms.values())
        return max(self.architecture.far_cutoff, *terms, 0.0)

    @property
    def conservative(self) -> bool:
        """Whether forces are the gradient of the energy."""
        return DIRECT_FORCES not in self.architecture.outputs

    @property
    def properties(self) -> tuple[str, ...]:
        """What the potential can be asked for: its architecture may give charges, for example."""
        mechanical = PROPERTIES if self.conservative else (*ENERGY_PROPERTIES, "forces")
        # A sum over the reciprocal lattice has no share of each atom.
        mechanical = tuple(n for n in mechanical if n != "stresses" or not self.is_reciprocal)
        further = (n for n in self.architecture.outputs if n not in (*PROPERTIES, DIRECT_FORCES))
        return (*mechanical, *further)

    @property
    def is_reciprocal(self) -> bool:
        """Whether a term sums over the reciprocal lattice, as only full crystals have one."""
        return any(cast(EnergyTerm, term).is_reciprocal for term in self.terms.values())

    def suits(self, boundaries: Boundaries) -> bool:
        """Whether sums over the reciprocal lattice are those of structures with such boundaries."""
        sums = [term for term in self.terms.values() if isinstance(term, Ewald)]
        return all(term.suits(boundaries) for term in sums)

    def waves(self, graph: AtomGraph) -> Waves | None:
        """Waves along each lattice vector that sums over the reciprocal lattice need.

        The most that any of the structures needs; None if there is no such sum.
        """
        sums = [term for term in self.terms.values() if isinstance(term, Ewald)]
        needed = [term.waves(graph) for term in sums]
        return None if not needed else tuple(map(max, zip(*needed, strict=True)))

    @contextmanager
    def with_waves(self, steps: Multiples | None) -> Iterator[None]:
        """Sum over these waves inside a ``with`` block, where a compiler traces the potential."""
        with ExitStack() as stack:
            for term in self.terms.values():
                if steps is not None and isinstance(term, Ewald):
                    stack.enter_context(term.with_waves(steps))
            yield

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
        return {name: cast(EnergyTerm, term).settings_dict() for name, term in self.terms.items()}

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
                if 0 <= number < len(chemical_symbols)
                else f"Z={number}"
                for number in unknown
            )
            # ASE's X, as in water models of four sites.
            remedy = "; X is a virtual site and no element: remove it" if 0 in unknown else ""
            raise ValueError(
                f"the potential does not know {names}; it was made for "
                f"{', '.join(self.symbols)}{remedy}"
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
            On the potential's device and in its dtype, with edges up to its cutoff and far pairs
            up to its far cutoff.
        properties : iterable of str
            Of ``energy`` (B,) and ``energies`` (N,), eV, float64; ``forces`` (N, 3), eV/Å;
            ``stress`` (B, 3, 3) and its per-atom parts ``stresses`` (N, 3, 3), eV/Å^3, tensile
            positive, NaN for a structure whose cell has no volume; and what else is among
            :attr:`properties`, such as ``charges`` (N,), e.
        create_graph : bool
            Keep forces and stress differentiable, as training on them needs.

        Returns
        -------
        dict of str to Tensor
        """
        wanted = set(properties)
        unknown = wanted - set(self.properties)
        if unknown:
            raise ValueError(f"unknown properties {sorted(unknown)}; choose from {self.properties}")
        self.check_pairs(graph)
        wanted_slopes = wanted & set(GRADIENT_PROPERTIES)
        if not self.conservative and not self.terms:
            wanted_slopes = set()
        if not wanted_slopes:
            results = self._evaluate(graph)
            return {name: results[name] for name in wanted}
        with torch.enable_grad(), by_formula(create_graph):
            edges = graph.edge_vectors.detach().requires_grad_()
            pairs = graph.far_vectors.detach().requires_grad_()
            graph = replace(graph, edge_vectors=edges, far_vectors=pairs)
            leaves = [edges, pairs]
            moved = graph
            if self.is_reciprocal:
                moved, further = strained(graph)
                leaves += further
            results = self._evaluate(moved)
            by_edge, by_pair, *by_structure = torch.autograd.grad(
                graph.own(results[_SLOPING]).sum(),
                leaves,
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
            slope = Slope(
                torch.cat([graph.edge_index, graph.far_index], dim=1),
                torch.cat([edges, pairs]),
                torch.cat([by_edge, by_pair]),
                *by_structure,
            )
            # In one order everywhere: domains of a structure exchange rows meanwhile.
            for name in sorted(wanted_slopes):
                gradient = FROM_SLOPE[name](graph, slope)
                results[name] = gradient + results[name] if name in results else gradient
        return {name: results[name] if create_graph else results[name].detach() for name in wanted}

    def energy_terms(self, graph: AtomGraph) -> dict[str, Tensor]:
        """Energies of atoms (N,) in eV, float64, by their origin.

        ``architecture`` is the learned energy with the reference energies of the elements; the
        other keys are the names of :attr:`terms`. Their sum is the property ``energies``.
        """
        return self._terms(graph, self.architecture(graph))

    def _terms(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        learned = self.energy_scale * outputs["energies"].double()
        energies = {"architecture": learned + self.reference_table[graph.atomic_numbers]}
        for name, term in self.terms.items():
            energies[name] = term(graph, outputs).double()
        return energies

    def _evaluate(self, graph: AtomGraph) -> dict[str, Tensor]:
        """Energies of atoms and structures, predicted forces, the architecture's other outputs."""
        whole = graph.both_ways()
        outputs = self.architecture(graph if self.architecture.takes_pairs else whole)
        terms = self._terms(whole, outputs)
        energies = torch.stack(list(terms.values())).sum(dim=0)
        results = {**outputs, "energies": energies, _SLOPING: energies}
        if not self.conservative:
            results["forces"] = self.energy_scale * graph.own(outputs[DIRECT_FORCES])
            results[_SLOPING] = energies - terms["architecture"]
        results["energy"] = graph.structures.sum(energies)
        return results

    def check_pairs(self, graph: AtomGraph) -> None:
        """Raise ValueError if a graph lacks the far pairs that the potential's terms need."""
        if self.is_reciprocal and not graph.positions.shape[0]:
            raise ValueError("the potential needs positions and the graph has none")
        if self.far_cutoff >= self.cutoff and graph.lacks_far_pairs:
            raise ValueError(
                f"the potential needs the pairs up to {self.far_cutoff} Å and the graph has none: "
                "build it with far_cutoff=potential.far_cutoff"
            )

    def with_terms(self, settings: Mapping[str, Mapping[str, Any]]) -> Potential:
        """The potential with other settings of its terms; it shares all weights.

        Terms whose settings stay as they are are shared as well, others must have no weights of
        their own.
        """
        own = self.terms_settings
        kept = {name for name, given in settings.items() if own.get(name) == given}
        if len(kept) == len(settings) == len(own):
            return self
        new = build_terms({name: settings[name] for name in settings if name not in kept})
        terms = {n: self.terms[n] if n in kept else new[n].to(self.device) for n in settings}
        other = Potential(
            self.architecture,
            self.elements,
            reference_energies=self.reference_energies,
            energy_scale=self.energy_scale,
            terms={name: cast(EnergyTerm, term) for name, term in terms.items()},
            card=self.card,
            confidence=self.confidence,
        )
        return other.to(self.dtype).train(self.training)

    def copy(
        self,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        long_range_cutoff: LongRangeCutoff = "auto",
        ewald: bool = False,
    ) -> Potential:
        """An independent, frozen copy for evaluation, on another device or in another type.

        The architecture is built anew, so that its fixed constants are exact in the new type
        even if this potential has been through float32. The long-range terms keep their cutoff
        with ``"auto"``; a number is one in Å, None is no cutoff. With ``ewald`` the sum over
        charges within a cutoff becomes one over the whole crystal.

        Raises
        ------
        ValueError
            If a long-range cutoff or an Ewald sum is asked for and the potential has no term it
            could apply to.
        """
        terms = with_ewald_sum(self.terms_settings) if ewald else self.terms_settings
        if long_range_cutoff != "auto":
            terms = with_long_range_cutoff(terms, long_range_cutoff)
        with torch.random.fork_rng(devices=[]):
            architecture = build(self.architecture.name, self.architecture.settings_dict())
        copy = Potential(
            architecture,
            self.elements,
            reference_energies=self.reference_energies,
            energy_scale=self.energy_scale,
            terms=build_terms(terms),
            card=self.card,
            confidence=self.confidence,
        )
        copy.load_state_dict(self.state_dict())
        copy.to(device=device or self.device, dtype=dtype or self.dtype)
        return copy.requires_grad_(False).eval()


def _atomic_number(element: Any) -> int:
    """Atomic number of a symbol or number, refusing what is not an element."""
    number = NUMBER_OF.get(element) if isinstance(element, str) else int(element)
    if number is None or not 0 < number < len(chemical_symbols):
        raise ValueError(f"{element!r} is not a chemical element")
    return number
