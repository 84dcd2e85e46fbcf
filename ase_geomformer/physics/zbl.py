"""Repulsion of two nuclei at short range, screened by their electrons.

Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Solids (Pergamon, 1985). A
learned energy knows nothing of distances that its data never visit; this term keeps atoms apart
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from ase.data import covalent_radii
from ase.units import Bohr
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.decay import decaying_exp
from ase_geomformer.layers.harmonics import distances_and_directions
from ase_geomformer.layers.written_gradient import is_by_formula
from ase_geomformer.physics.base import COULOMB, EnergyTerm
from ase_geomformer.physics.switch import smooth_switch
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
        if vectors.is_cpu and frozen and not divided and not is_by_formula():
            # Hardly ever is a pair within reach.
            near = self._near(graph)
            if not near.shape[0]:
                return vectors.new_zeros(graph.num_atoms)
            index, vectors = graph.edge_index.index_select(1, near), vectors.index_select(0, near)
            receivers, senders = (Segments.of(ends, graph.num_atoms) for ends in index)
        return 0.5 * receivers.sum(
            self._energies(graph.atomic_numbers, receivers, senders, vectors)
        )

    def _near(self, graph: AtomGraph) -> Tensor:
        """Indices of the edges along which there is repulsion."""
        with torch.no_grad():
            squares = (graph.edge_vectors * graph.edge_vectors).sum(dim=1)
            ends = self._ends(graph.atomic_numbers, graph.receivers, graph.senders)
            return (squares < ends.square()).nonzero().squeeze(1)

    def _energies(
        self, atomic_numbers: Tensor, receivers: Segments, senders: Segments, vectors: Tensor
    ) -> Tensor:
        """Energies (E,) of edges in eV."""
        settings = self.settings
        softplus = nn.functional.softplus
        distances = distances_and_directions(vectors)[0].clamp(min=SHORTEST)
        numbers = atomic_numbers.to(distances.dtype)

        powers = numbers ** softplus(self.charge_exponent)
        sums = receivers.gather(powers) + senders.gather(powers)
        length = 1.0 / (softplus(self.inverse_length) * sums)
        decay = softplus(self.exponents) * (distances / length)[:, None]
        coefficients = softplus(self.coefficients)
        screening = decaying_exp(-decay) @ (coefficients / coefficients.sum())

        charges = COULOMB * receivers.gather(numbers) * senders.gather(numbers)
        energies = charges / distances * screening
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
