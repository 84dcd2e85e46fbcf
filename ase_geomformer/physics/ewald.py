"""Coulomb interaction of partial charges in a crystal, summed over all of its images.

The damped potential erf(d / s) / d of :mod:`ase_geomformer.physics.electrostatics` is what two
Gaussian charges of width s / 2 feel, and the part of Ewald's sum that is done over the reciprocal
lattice (P. P. Ewald, Ann. Phys. 369, 253 (1921)), with its smearing s / sqrt(2). Nothing is left
for real space, so that the sum needs no pairs. torch-pme (P. Loche et al., J. Chem. Phys. 162,
142501 (2025)) evaluates it, directly or on a mesh.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics.base import COULOMB, EnergyTerm

# Nodes of the mesh's interpolation along each axis, and mesh points in one smearing: forces are
# then within 1e-5 of the direct sum's.
MESH_NODES = 7
MESH_POINTS = 6


@dataclass(frozen=True)
class EwaldSettings:
    """How charges of a crystal are summed over.

    Attributes
    ----------
    damping_length
        The length s in Å of erf(d / s) / d.
    method
        ``ewald`` sums over reciprocal lattice vectors, which takes the square of the number of
        atoms; ``pme`` over a mesh, to a few digits less, which pays beyond a few thousand atoms.
    precision
        Weight of the reciprocal lattice vectors that are left out, beside that of the longest
        waves.
    """

    damping_length: float = 4.0
    method: Literal["ewald", "pme"] = "ewald"
    precision: float = 1e-12

    def __post_init__(self) -> None:
        if not self.damping_length > 0:
            raise ValueError(f"damping_length must be positive, not {self.damping_length} Å")
        if self.method not in ("ewald", "pme"):
            raise ValueError(f"method must be ewald or pme, not {self.method!r}")
        if not 0 < self.precision < 1:
            raise ValueError(f"precision must lie between 0 and 1, not {self.precision}")


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

    def forward(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        charges = outputs["charges"]
        counts = torch.bincount(graph.batch, minlength=graph.num_structures).tolist()
        parts = zip(charges.split(counts), graph.positions.split(counts), graph.cell, strict=True)
        return torch.cat([self._energies(*part) for part in parts])

    def _energies(self, charges: Tensor, positions: Tensor, cell: Tensor) -> Tensor:
        """Energies of the atoms (n,) of one structure."""
        no_pairs = torch.zeros(0, 2, dtype=torch.int64, device=charges.device)
        potential = self._sum(charges)(
            charges[:, None], cell, positions, no_pairs, positions.new_zeros(0)
        )
        return COULOMB * charges * potential[:, 0]

    def _sum(self, like: Tensor) -> Any:
        from torchpme import CoulombPotential, EwaldCalculator, PMECalculator

        smearing = self.settings.damping_length / math.sqrt(2.0)
        coulomb = CoulombPotential(smearing=smearing).to(like.device, like.dtype)
        if self.settings.method == "pme":
            mesh = PMECalculator(coulomb, smearing / MESH_POINTS, interpolation_nodes=MESH_NODES)
            return mesh.to(like.device, like.dtype)
        longest = math.sqrt(2.0 * math.log(1.0 / self.settings.precision)) / smearing
        # torch-pme counts vectors of both signs together: half the wavelength gives each its due.
        return EwaldCalculator(coulomb, math.pi / longest).to(like.device, like.dtype)


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
