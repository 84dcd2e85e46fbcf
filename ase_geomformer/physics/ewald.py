"""Coulomb interaction of partial charges in a crystal, summed over all of its images.

The damped potential erf(d / s) / d of :mod:`ase_geomformer.physics.electrostatics` is what two
Gaussian charges of width s / 2 feel, and the part of Ewald's sum that is done over the reciprocal
lattice (P. P. Ewald, Ann. Phys. 369, 253 (1921)), with its smearing s / sqrt(2). Nothing is left
for real space, so that the sum needs no pairs. It is done wave by wave, or on a mesh by torch-pme
(P. Loche et al., J. Chem. Phys. 162, 142501 (2025)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics.base import COULOMB, EnergyTerm
from ase_geomformer.physics.reciprocal import (
    Multiples,
    Waves,
    multiples,
    potentials,
    waves_within,
)
from ase_geomformer.physics.slab import alone, stacked
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# Nodes of the mesh's interpolation along each axis, and mesh points in one smearing: forces are
# then within 1e-5 of the direct sum's.
MESH_NODES = 7
MESH_POINTS = 6


@dataclass(frozen=True)
class EwaldSettings(Shown):
    """How charges of a crystal are summed over.

    Attributes
    ----------
    damping_length
        The length s in Å of erf(d / s) / d.
    method
        ``ewald`` sums over reciprocal lattice vectors, which takes the square of the number of
        atoms; ``pme`` over a mesh, to a few digits less. For 3000 atoms on a CPU the mesh takes
        forty times as long, so that it pays beyond a hundred thousand.
    precision
        Weight of the reciprocal lattice vectors that are left out, beside that of the longest
        waves; in float32 as little as that type resolves.
    open_axis
        Number of the lattice vector along which a slab is not periodic, see
        :mod:`ase_geomformer.physics.slab`; None for crystals.
    """

    damping_length: float = ranged(4.0, 0, 1000, "Å", above=True)
    method: Literal["ewald", "pme"] = "ewald"
    precision: float = ranged(1e-12, 0, 0.1, above=True)
    open_axis: Literal[0, 1, 2] | None = None

    def __post_init__(self) -> None:
        check_settings(self)


class Ewald(EnergyTerm):
    """Damped Coulomb energy of the charges that the architecture predicts, in crystals.

    A uniform background neutralises cells with a net charge.

    Parameters
    ----------
    settings : EwaldSettings
    """

    settings_class = EwaldSettings
    settings: EwaldSettings
    requires = ("charges",)
    is_reciprocal = True

    @property
    def cutoff(self) -> float:
        return 0.0

    def __init__(self, settings: EwaldSettings) -> None:
        super().__init__(settings)
        self._steps: Multiples | None = None

    def forward(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        charges = outputs["charges"]
        if self._steps is not None:
            felt = self._potentials(
                charges, graph.positions, graph.batch, graph.cell, steps=self._steps
            )
            return 0.5 * COULOMB * charges * felt
        # One by one: no structure gets more waves than its own cell needs.
        counts = torch.bincount(graph.batch, minlength=graph.num_structures).tolist()
        parts = zip(charges.split(counts), graph.positions.split(counts), graph.cell, strict=True)
        felt = torch.cat([self._alone(*part) for part in parts])
        return 0.5 * COULOMB * charges * felt

    def suits(self, boundaries: Sequence[bool]) -> bool:
        """Whether it is the sum of structures with such boundaries."""
        axes = [axis for axis, periodic in enumerate(boundaries) if not periodic]
        return axes == ([] if self.settings.open_axis is None else [self.settings.open_axis])

    def waves(self, graph: AtomGraph) -> Waves:
        """Waves along each lattice vector that a graph's structures need."""
        cell = self._summed_cell(graph.positions, graph.batch, graph.cell)
        return self._waves_of(cell)

    def _waves_of(self, cell: Tensor) -> Waves:
        weight = max(self.settings.precision, torch.finfo(cell.dtype).eps)
        longest = 2.0 * math.sqrt(math.log(1.0 / weight)) / self.settings.damping_length
        return waves_within(cell.detach(), longest)

    @contextmanager
    def with_waves(self, steps: Multiples) -> Iterator[None]:
        """Sum over these waves, whatever the cell: a compiler cannot read how many it needs."""
        self._steps = steps
        try:
            yield
        finally:
            self._steps = None

    def _alone(self, charges: Tensor, positions: Tensor, cell: Tensor) -> Tensor:
        """Potentials (n,) at the charges of one structure."""
        if self.settings.method == "pme" and self.settings.open_axis is None:
            return self._on_mesh(charges, positions, cell)
        batch = torch.zeros(charges.shape[0], dtype=torch.int64, device=charges.device)
        waves = self._waves_of(self._summed_cell(positions, batch, cell[None]))
        steps = multiples(waves, positions)
        return self._potentials(charges, positions, batch, cell[None], steps=steps)

    def _summed_cell(self, positions: Tensor, batch: Tensor, cell: Tensor) -> Tensor:
        """Cells (B, 3, 3) of what is summed over: those of structures, or of slabs stacked."""
        axis = self.settings.open_axis
        if axis is None:
            return cell
        return stacked(positions, batch, cell, axis, self.settings.damping_length).cell

    def _potentials(
        self, charges: Tensor, positions: Tensor, batch: Tensor, cell: Tensor, *, steps: Multiples
    ) -> Tensor:
        length, axis = self.settings.damping_length, self.settings.open_axis
        if axis is None:
            return potentials(charges, positions, batch, cell, length, steps)
        stack = stacked(positions, batch, cell, axis, length)
        summed = potentials(charges, positions, batch, stack.cell, length, steps)
        return summed + alone(charges, batch, stack)

    def _on_mesh(self, charges: Tensor, positions: Tensor, cell: Tensor) -> Tensor:
        """As :meth:`_alone`, on a mesh."""
        from torchpme import CoulombPotential, PMECalculator

        smearing = self.settings.damping_length / math.sqrt(2.0)
        coulomb = CoulombPotential(smearing=smearing).to(charges.device, charges.dtype)
        mesh = PMECalculator(coulomb, smearing / MESH_POINTS, interpolation_nodes=MESH_NODES)
        no_pairs = torch.zeros(0, 2, dtype=torch.int64, device=charges.device)
        felt: Tensor = mesh.to(charges.device, charges.dtype)(
            charges[:, None], cell, positions, no_pairs, positions.new_zeros(0)
        )
        return 2.0 * felt[:, 0]  # torch-pme shares each pair's energy between its ends


def with_ewald_sum(terms: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings of terms by name with Ewald's sum in place of the one with a cutoff.

    Raises
    ------
    ValueError
        If there are no charges to sum over.
    """
    if "ewald" in terms:
        return {name: dict(settings) for name, settings in terms.items()}
    if "electrostatics" not in terms:
        raise ValueError(
            "ewald=True has nothing to act on: the potential has no electrostatics (its terms: "
            f"{', '.join(terms) or 'none'})"
        )
    length = terms["electrostatics"]["damping_length"]
    kept = {name: dict(settings) for name, settings in terms.items() if name != "electrostatics"}
    return {**kept, "ewald": {"damping_length": length}}
