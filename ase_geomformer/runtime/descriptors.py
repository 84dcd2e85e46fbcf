"""Descriptors: features of atoms that enter the last, linear layer of the energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from ase_geomformer.graph.joint import graphs
from ase_geomformer.physics import boundaries_of
from ase_geomformer.runs.report import tracked
from ase_geomformer.runtime.features import atom_features
from ase_geomformer.runtime.prepared import PreparedPotential


def descriptors(
    prepared: PreparedPotential, structures: Sequence[Atoms], *, progress: bool = False
) -> list[np.ndarray]:
    """Descriptors (N, D) of the atoms of each structure.

    Parameters
    ----------
    prepared : PreparedPotential
    structures : sequence of ase.Atoms
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError
        If the potential does not know an element, or its architecture has no such layer.
    """
    found: list[np.ndarray] = []
    for atoms in tracked(list(structures), "Descriptors", progress):
        potential = prepared.fitting(boundaries_of(atoms)).potential
        potential.check_elements(np.unique(atoms.numbers))
        (graph,) = graphs(
            [atoms],
            potential.cutoff,
            far_cutoff=potential.far_cutoff,
            neighbors=prepared.settings.neighbors,
            dtype=prepared.dtype,
        )
        found.append(atom_features(potential, graph.to(prepared.device)).cpu().numpy())
    return found


def structure_rows(found: Sequence[np.ndarray]) -> np.ndarray:
    """Descriptors (S, D) of structures: the means over their atoms, in float64."""
    return np.array([np.mean(rows, axis=0, dtype=np.float64) for rows in found])
