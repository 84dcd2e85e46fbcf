"""Repulsion of two nuclei at short range, screened by their electrons.

Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Solids (Pergamon, 1985). A
learned energy knows nothing of distances that its data never visit; this term keeps atoms apart
there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from ase.data import covalent_radii
from ase.units import Bohr
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.cutoff import CUTOFFS, value_and_slope
from ase_geomformer.layers.decay import decaying_exp
from ase_geomformer.layers.harmonics import distances_and_directions
from ase_geomformer.layers.host import may_read
from ase_geomformer.layers.written_gradient import WrittenGradient, is_by_formula
from ase_geomformer.physics.base import COULOMB, EnergyTerm
from ase_geomformer.physics.switch import smooth_switch, switch_with_slope
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

SHORTEST = 1e-6  # Å; closer pairs count as this far apart, so that coincident atoms give numbers

# The universal screening function of Ziegler, Biersack and Littmark.
SCREENING_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)
SCREENING_COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
CHARGE_EXPONENT = 0.23
SCREENING_LENGTH = 0.8854 * Bohr  # Å, before division by Z_i^0.23 + Z_j^0.23


@dataclass(frozen=True)
class ZBLSettings(Shown):
    """Range of the repulsion.

    Attributes
    ----------
    switch_on, switch_off
        Distances in Å between which the repulsion is smoothly switched off.
    covalent_fraction
        Where given, a pair's range ends at this fraction of the sum of its covalent radii
        (ase.data), or at `switch_off` where that is less; `switch_on` shrinks with it. One
        distance cannot serve all elements: O-H bonds are as short as 0.9 Å, and two carbon atoms
        are far too close there. In the rMD17 molecules no pair is closer than 0.787 of the sum.
    cutoff_function, cutoff
        A cutoff function and its radius in Å, such as the architecture's, that multiplies the
        repulsion as well, as in So3krates; none by default.
    """

    switch_on: float = ranged(0.0, 0, 1000, "Å")
    switch_off: float = ranged(1.5, 0, 1000, "Å", above=True)
    covalent_fraction: float | None = ranged(None, 0, 100, above=True)
    cutoff_function: str | None = None
    cutoff: float = ranged(5.0, 0, 1000, "Å", above=True)

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.switch_on < self.switch_off:
            raise ValueError(
                f"switch_on={self.switch_on} Å must lie below switch_off={self.switch_off} Å"
            )
        if self.cutoff_function is not None and self.cutoff_function not in CUTOFFS:
            raise ValueError(
                f"cutoff_function is {self.cutoff_function!r}; "
                f"choose from {sorted(CUTOFFS)} or None"
            )


class PairConstants(NamedTuple):
    """Charges (E,) in eV Å, 1/a (E,) in 1/Å, exponents (4,) and coefficients (4,) of screening."""

    charges: Tensor
    inverse_length: Tensor
    exponents: Tensor
    coefficients: Tensor


class ZBL(EnergyTerm):
    """Screened nuclear repulsion; half of each pair's energy on either atom.

    Ten trainable numbers, kept positive by a softplus, start from the universal values.

    Parameters
    ----------
    settings : ZBLSettings
    """

    settings_class = ZBLSettings
    settings: ZBLSettings
    covalent_radii: Tensor

    def __init__(self, settings: ZBLSettings) -> None:
        super().__init__(settings)
        self.exponents = _positive(SCREENING_EXPONENTS)
        self.coefficients = _positive(SCREENING_COEFFICIENTS)
        self.charge_exponent = _positive(CHARGE_EXPONENT)
        self.inverse_length = _positive(1.0 / SCREENING_LENGTH)
        radii = torch.from_numpy(covalent_radii.copy())
        self.register_buffer("covalent_radii", radii, persistent=False)

    @property
    def cutoff(self) -> float:
        return self.settings.switch_off

    def forward(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        receivers, senders, vectors = graph.receivers, graph.senders, graph.edge_vectors
        divided = receivers.is_divided or senders.is_divided
        frozen = not self.exponents.requires_grad
        if may_read(vectors) and frozen and not divided and not is_by_formula():
            # Only few pairs are within reach, if any.
            near = self._near(graph)
            if not near.shape[0]:
                return vectors.new_zeros(graph.num_atoms)
            index, vectors = graph.edge_index.index_select(1, near), vectors.index_select(0, near)
            receivers, senders = (Segments.of(ends, graph.num_atoms) for ends in index)
        repulsion = Repulsion(self, graph.atomic_numbers, receivers, senders)
        return repulsion(vectors)[0]

    def _near(self, graph: AtomGraph) -> Tensor:
        """Indices of the edges along which there is repulsion."""
        with torch.no_grad():
            squares = (graph.edge_vectors * graph.edge_vectors).sum(dim=1)
            if self.settings.covalent_fraction is None:
                near = squares < self.settings.switch_off**2
            else:
                ends = self._ends(graph.atomic_numbers, graph.receivers, graph.senders)
                near = squares < ends.square()
            return near.nonzero().squeeze(1)

    def constants(self, numbers: Tensor, receivers: Segments, senders: Segments) -> PairConstants:
        """What the energies of edges depend on besides distances."""
        softplus = nn.functional.softplus
        numbers = numbers.to(self.covalent_radii.dtype)
        powers = numbers ** softplus(self.charge_exponent)
        sums = receivers.gather(powers) + senders.gather(powers)
        coefficients = softplus(self.coefficients)
        return PairConstants(
            charges=COULOMB * receivers.gather(numbers) * senders.gather(numbers),
            inverse_length=softplus(self.inverse_length) * sums,
            exponents=softplus(self.exponents),
            coefficients=coefficients / coefficients.sum(),
        )

    def energies(
        self, atomic_numbers: Tensor, receivers: Segments, senders: Segments, vectors: Tensor
    ) -> Tensor:
        """Energies (E,) of edges in eV."""
        settings = self.settings
        distances = distances_and_directions(vectors)[0].clamp(min=SHORTEST)
        pairs = self.constants(atomic_numbers, receivers, senders)
        decay = pairs.exponents * (distances * pairs.inverse_length)[:, None]
        energies = pairs.charges / distances * (decaying_exp(-decay) @ pairs.coefficients)
        # Each pair's range ends where its radii say, and all distances shrink with it.
        stretch = settings.switch_off / self._ends(atomic_numbers, receivers, senders)
        switched = smooth_switch(distances * stretch, settings.switch_on, settings.switch_off)
        energies = energies * switched
        if settings.cutoff_function is not None:
            energies = energies * CUTOFFS[settings.cutoff_function](distances, settings.cutoff)
        return energies

    def _ends(self, atomic_numbers: Tensor, receivers: Segments, senders: Segments) -> Tensor:
        """Range (E,) of each pair's repulsion in Å; one number where it is the same for all."""
        settings = self.settings
        if settings.covalent_fraction is None:
            return self.covalent_radii.new_tensor(settings.switch_off)
        radii = (settings.covalent_fraction * self.covalent_radii)[atomic_numbers]
        ends = receivers.gather(radii) + senders.gather(radii)
        return ends.clamp(max=settings.switch_off)


def _positive(values: float | tuple[float, ...]) -> nn.Parameter:
    """A parameter whose softplus has the given values."""
    return nn.Parameter(torch.tensor(values, dtype=torch.float64).expm1().log())


@dataclass(frozen=True, eq=False)
class Repulsion(WrittenGradient):
    """Energies of atoms (N,) from the vectors of edges (E, 3): half of each edge's."""

    term: ZBL
    numbers: Tensor
    receivers: Segments
    senders: Segments

    @property
    def weights(self) -> Sequence[Tensor]:
        term = self.term
        return term.exponents, term.coefficients, term.charge_exponent, term.inverse_length

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        energies = self.term.energies(self.numbers, self.receivers, self.senders, *inputs)
        return (0.5 * self.receivers.sum(energies),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        (vectors,) = inputs
        settings = self.term.settings
        lengths = (vectors * vectors).sum(dim=1).sqrt_()
        distances = lengths.clamp(min=SHORTEST)
        pairs = self.term.constants(self.numbers, self.receivers, self.senders)
        parts = decaying_exp(-pairs.exponents * (distances * pairs.inverse_length)[:, None])
        # Screening, and by what the logarithm of the energy falls with the distance.
        screening = parts @ pairs.coefficients
        steepness = (parts @ (pairs.coefficients * pairs.exponents)) * pairs.inverse_length
        bare = pairs.charges / distances
        stretch = settings.switch_off / self.term._ends(self.numbers, self.receivers, self.senders)
        switched, slope = switch_with_slope(
            distances * stretch, settings.switch_on, settings.switch_off
        )
        slope = slope * stretch
        if settings.cutoff_function is not None:
            cut, cut_slope = value_and_slope(
                CUTOFFS[settings.cutoff_function], distances, settings.cutoff
            )
            switched, slope = switched * cut, slope * cut + switched * cut_slope
        energies = bare * screening
        by_distance = energies * slope - (energies / distances + bare * steepness) * switched
        by_vector = (by_distance / distances).masked_fill_(lengths < SHORTEST, 0.0)
        return (0.5 * self.receivers.sum(energies * switched),), by_vector

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        share = self.receivers.gather(slopes[0]).mul_(0.5)
        return ((share * kept)[:, None] * inputs[0],)
