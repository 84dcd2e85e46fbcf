"""How far away atoms matter: to the bit not beyond the declared hops, and up to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer.architectures.base import build
from ase_geomformer.graph.atom_graph import AtomGraph

CUTOFF = 2.0
SMALL = {
    "so3krates": {"num_features": 24, "degrees": (1, 2), "num_heads": 2, "avg_num_neighbors": 2.0},
    "so3krates-dense": {"num_features": 24, "degrees": (0, 1, 2), "num_heads": 2},
    "so3krates-2022": {"num_features": 24, "degrees": (1, 2), "num_heads": 2},
    "geomformer": {"num_features": 16, "num_heads": 2},
    "est": {"num_channels": 8, "num_heads": 2, "avg_num_neighbors": 2.0},
}
# Depth, what else is set, and the hops expected of it.
CASES = [
    ("so3krates", {"num_layers": 1}, 1),
    ("so3krates", {"num_layers": 3}, 3),
    ("so3krates-dense", {"num_layers": 2}, 2),
    ("so3krates-dense", {"num_layers": 2, "initial_normalization": 2.0}, 3),
    ("so3krates-2022", {"num_layers": 2}, 3),
    ("geomformer", {"num_blocks": 1}, 2),
    ("geomformer", {"num_blocks": 3}, 4),
    ("geomformer", {"num_blocks": 2, "layout": "alternating"}, None),
    ("est", {"num_layers": 1}, 2),
    ("est", {"num_layers": 2, "messages": "so2", "attention_width": 8}, 3),
]


def chain(number: int) -> Atoms:
    """Atoms of which each has only those next to it within the cutoff, on no straight line."""
    steps = np.array([[1.2, 0.9, 0.3], [1.3, -0.7, 0.5], [1.1, 0.4, -0.9]])
    return Atoms(
        [("C", "O", "H")[n % 3] for n in range(number)],
        positions=np.resize(steps, (number, 3)).cumsum(axis=0),
    )


@pytest.mark.parametrize(("name", "further", "expected"), CASES)
def test_hops(name, further, expected):
    torch.manual_seed(0)
    architecture = build(name, {**SMALL[name], **further, "cutoff": CUTOFF})
    hops = architecture.hops
    assert expected in (hops, None)
    start = chain(hops + 3)

    def first(atoms: Atoms) -> torch.Tensor:
        graph = AtomGraph.from_atoms(atoms, CUTOFF)
        assert graph.num_edges == 2 * (len(atoms) - 1)
        return architecture(graph)["energies"][0]

    def moved(index: int) -> Atoms:
        atoms = start.copy()
        atoms.positions[index] += [0.02, -0.03, 0.05]
        return atoms

    assert first(moved(hops + 1)) == first(start)
    assert first(moved(hops)) != first(start)


def test_all_pairs_have_no_hops():
    settings = {**SMALL["geomformer"], "attention": "all-pairs", "num_blocks": 1}
    assert build("geomformer", settings).hops is None
    settings = {**SMALL["so3krates-2022"], "nonlocal_cutoff": "uniform", "num_layers": 1}
    assert build("so3krates-2022", settings).hops is None
