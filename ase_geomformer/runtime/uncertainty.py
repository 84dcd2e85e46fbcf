"""Uncertainties of a single potential, and extrapolation grades of its atoms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.derivatives import FROM_SLOPE, Slope
from ase_geomformer.layers.written_gradient import by_formula
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.domain import known_confidence
from ase_geomformer.runtime.features import head_of, scaled_features

# Beside ASE's properties; see :func:`uncertainties`.
PROPERTIES = ("energy_uncertainty", "energies_uncertainty", "forces_uncertainty", "extrapolation")


def uncertainties(
    potential: Potential, graph: AtomGraph, features: Tensor, wanted: Collection[str]
) -> dict[str, Any]:
    """Standard deviations of results of one structure.

    Parameters
    ----------
    potential : Potential
    graph : AtomGraph
        Of one structure.
    features : Tensor (N, D)
    wanted : collection of str
        Of :data:`PROPERTIES`.

    Returns
    -------
    dict
        ``energy_uncertainty``, eV; ``energies_uncertainty`` (N,), eV; ``forces_uncertainty``
        (N, 3), eV/Å; ``extrapolation`` (N,), where up to one is known.

    Raises
    ------
    ValueError
        If the potential has no statistics of its training data.
    """
    confidence = known_confidence(potential)
    scaled = scaled_features(potential, features, graph.atomic_numbers).cpu()
    found: dict[str, Any] = {}
    if "energy_uncertainty" in wanted:
        found["energy_uncertainty"] = float(confidence.energy_uncertainty(scaled.sum(dim=0)))
    if "energies_uncertainty" in wanted:
        found["energies_uncertainty"] = confidence.energy_uncertainty(scaled).numpy()
    if "extrapolation" in wanted:
        grades = confidence.grades(features.cpu(), graph.atomic_numbers.cpu())
        found["extrapolation"] = grades.double().numpy()
    if "forces_uncertainty" in wanted:
        slopes = feature_slopes(potential, graph, confidence.root)
        spread = slopes.square().sum(dim=0).sqrt()
        found["forces_uncertainty"] = (confidence.forces_factor * spread).double().numpy()
    return found


def feature_slopes(potential: Potential, graph: AtomGraph, root: Tensor) -> Tensor:
    """Forces (D, N, 3) of each column of the features' root, by one gradient for each."""
    # Written gradients are those of energies; features are differentiated by the formula.
    with torch.enable_grad(), by_formula(), head_of(potential).observed() as found:
        edges = graph.edge_vectors.detach().requires_grad_()
        pairs = graph.far_vectors.detach().requires_grad_()
        moved = replace(graph, edge_vectors=edges, far_vectors=pairs)
        potential.architecture(moved)
        sums = scaled_features(potential, found[0], graph.atomic_numbers).sum(dim=0)
        columns = sums @ root.to(sums)
        slopes = []
        for column in columns:
            by_edge, by_pair = torch.autograd.grad(
                column,
                [edges, pairs],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            index = torch.cat([graph.edge_index, graph.far_index], dim=1)
            slope = Slope(index, torch.cat([edges, pairs]), torch.cat([by_edge, by_pair]))
            slopes.append(FROM_SLOPE["forces"](graph, slope).detach())
    return torch.stack(slopes).cpu()
