"""Compiled code of sums over the reciprocal lattice, for cells of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from ase_geomformer.acceleration.artifact import Artifact, by_potential, compiled_properties
from ase_geomformer.acceleration.build import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import EwaldSettings
from ase_geomformer.potential import Potential


def salt(*repeats: int) -> Atoms:
    """Off its sites, so that charges differ and forces do not vanish."""
    atoms = bulk("SiO", "rocksalt", a=4.2) * repeats
    atoms.positions += np.random.default_rng(5).normal(scale=0.1, size=atoms.positions.shape)
    return atoms


@pytest.fixture
def charged(make_potential: Callable[..., Potential]) -> Potential:
    """Few operations and two elements, so that it compiles fast, with charges."""
    potential = make_potential(
        "Si O",
        cutoff=3.0,
        num_layers=1,
        num_features=16,
        degrees=(1,),
        charge_width=4,
        charge_embedding=False,
        spin_embedding=False,
    )
    settings = EwaldSettings(damping_length=2.0)
    return potential.with_terms({"ewald": asdict(settings)}).copy()


def test_results_are_those_of_the_potential(charged: Potential, tmp_path: Path) -> None:
    """One cell so small that it needs no waves along a vector, larger ones, and both at once."""
    file = tmp_path / "potential.so"
    build(charged, file)
    artifact = Artifact(file, charged)
    names = compiled_properties(charged)
    structures = [salt(1, 1, 1), salt(3, 2, 2)]
    for atoms in (*structures, structures):
        graph = AtomGraph.from_atoms(atoms, charged.cutoff, dtype=charged.dtype)
        assert artifact.serves(graph, names)
        found, expected = artifact(graph, names), by_potential(charged, graph, names)
        assert float(expected["charges"].abs().max()) > 1e-3
        for name in names:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-10)
