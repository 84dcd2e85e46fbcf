"""Faults known from other potentials, planted in So3krates: the suite must see each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ase_geomformer.architectures import So3krates
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.activation import ACTIVATIONS, SLOPES
from ase_geomformer.layers.attention import Attention
from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.harmonics import DegreeSum
from ase_geomformer.layers.radial import BesselBasis
from ase_geomformer.testing.exemptions import Exemption
from ase_geomformer.testing.suite import ArchitectureSuite, random_potential
from tests.architectures.so3krates.small import SMALL

Planter = Callable[[pytest.MonkeyPatch], dict[str, Any]]
genuine_forward = So3krates.forward


class Suite(ArchitectureSuite):
    __test__ = False
    name = "so3krates"


def energies_changed_by(change: Callable[[Tensor, AtomGraph], Tensor]) -> Planter:
    """So3krates whose energies (N,) pass through ``change``."""

    def forward(self: So3krates, graph: AtomGraph) -> dict[str, Tensor]:
        return {"energies": change(genuine_forward(self, graph)["energies"], graph)}

    def plant(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr(So3krates, "forward", forward)
        return {}

    return plant


def graph_changed_by(change: Callable[[AtomGraph], AtomGraph]) -> Planter:
    """So3krates that is given another graph."""

    def forward(self: So3krates, graph: AtomGraph) -> dict[str, Tensor]:
        return genuine_forward(self, change(graph))

    def plant(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr(So3krates, "forward", forward)
        return {}

    return plant


def cosine_cutoff(_: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"cutoff_function": "cosine"}


def no_cutoff(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    step = lambda d, cutoff: (d < cutoff).to(d.dtype)  # noqa: E731
    monkeypatch.setitem(CUTOFFS, "quintic", step)
    return {}


def norm_after_aggregation(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    genuine = Attention.forward

    def normalised(self: Attention, x: Tensor, ev: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        return tuple(
            sums / torch.sqrt(sums.square().sum(dim=-1, keepdim=True) + 1e-10)
            for sums in genuine(self, x, ev, edges)
        )

    monkeypatch.setattr(Attention, "forward", normalised)
    return {}


def norm_of_vectors(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def normalised(self: DegreeSum, values: Tensor) -> Tensor:
        squares = (values * values) @ self.contraction
        return squares / (squares + 1e-10)

    monkeypatch.setattr(DegreeSum, "invariants", normalised)
    return {}


def root_of_invariants(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    genuine = DegreeSum.invariants
    monkeypatch.setattr(DegreeSum, "invariants", lambda self, v: genuine(self, v).sqrt())
    return {}


def sinc(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def forward(self: BesselBasis, distances: Tensor) -> Tensor:
        return self.wave_numbers * torch.sinc(self.wave_numbers * distances[:, None] / torch.pi)

    monkeypatch.setattr(BesselBasis, "forward", forward)
    return {"radial_basis": "bessel"}


def kink(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(ACTIVATIONS, "silu", nn.functional.relu)
    monkeypatch.setitem(SLOPES, nn.functional.relu, lambda slopes, values: slopes * (values > 0))
    return {}


def handedness(energies: Tensor, graph: AtomGraph) -> Tensor:
    """A triple product of neighbour sums: blind to rotations, not to reflections."""
    sums = [
        graph.receivers.sum(
            graph.edge_vectors * torch.exp(-graph.edge_vectors.square().sum(-1, keepdim=True) / k)
        )
        for k in (1, 2, 4)
    ]
    return energies + torch.linalg.det(torch.stack(sums, dim=1))


def sees_the_batch(energies: Tensor, _: AtomGraph) -> Tensor:
    return energies + energies.mean()


def per_atom(energies: Tensor, graph: AtomGraph) -> Tensor:
    return energies / torch.bincount(graph.batch)[graph.batch]


def order_of_atoms(energies: Tensor, graph: AtomGraph) -> Tensor:
    return energies * torch.linspace(1.0, 1.1, graph.num_atoms, dtype=energies.dtype)


def branch_on_data(energies: Tensor, _: AtomGraph) -> Tensor:
    return energies if energies.sum() > 0 else 2.0 * energies


def lower_precision(energies: Tensor, _: AtomGraph) -> Tensor:
    return energies.float().to(energies.dtype)


def noise(energies: Tensor, _: AtomGraph) -> Tensor:
    return energies * (1.0 + 1e-6 * torch.rand_like(energies))


def stretched(graph: AtomGraph) -> AtomGraph:
    scale = torch.tensor([1.0, 1.0, 1.1], dtype=graph.edge_vectors.dtype)
    return replace(graph, edge_vectors=graph.edge_vectors * scale)


def half_detached(graph: AtomGraph) -> AtomGraph:
    vectors = graph.edge_vectors
    return replace(graph, edge_vectors=0.5 * vectors + 0.5 * vectors.detach())


def nearest_only(graph: AtomGraph) -> AtomGraph:
    """Edges beyond the 20th shortest forgotten, as capped neighbour lists do."""
    kept = graph.edge_vectors.norm(dim=1).argsort()[:20].sort().values
    return replace(
        graph, edge_index=graph.edge_index[:, kept], edge_vectors=graph.edge_vectors[kept]
    )


FAULTS: dict[str, tuple[Planter, str, dict[str, Any]]] = {
    "cosine cutoff: dimer": (cosine_cutoff, "dimer_through_the_cutoff", {"symbols": "CO"}),
    "cosine cutoff: cluster": (cosine_cutoff, "neighbour_entering_a_cluster", {}),
    "no cutoff: dimer": (no_cutoff, "dimer_through_the_cutoff", {"symbols": "CO"}),
    "no cutoff: cluster": (no_cutoff, "neighbour_entering_a_cluster", {}),
    "norm after aggregation": (
        norm_after_aggregation,
        "dimer_through_the_cutoff",
        {"symbols": "CO"},
    ),
    "norm of vectors": (
        norm_of_vectors,
        "force_constants_at_symmetric_sites",
        {"structure": "fcc"},
    ),
    "root of invariants": (root_of_invariants, "weight_gradients_of_a_force_loss", {}),
    "sinc": (sinc, "weight_gradients_of_a_force_loss", {}),
    "kink": (kink, "no_kinks_along_a_path", {}),
    "handedness": (
        energies_changed_by(handedness),
        "rotations_and_reflections",
        {"structure": "molecule", "operation": "inversion"},
    ),
    "stretched space": (
        graph_changed_by(stretched),
        "rotations_and_reflections",
        {"structure": "molecule", "operation": "rotation"},
    ),
    "half detached": (
        graph_changed_by(half_detached),
        "forces_are_the_slope_of_the_energy",
        {"structure": "molecule"},
    ),
    "capped neighbours": (graph_changed_by(nearest_only), "supercells", {"repeats": (2, 1, 1)}),
    "batch seen": (energies_changed_by(sees_the_batch), "batch_is_its_structures", {}),
    "padding seen": (energies_changed_by(sees_the_batch), "padding_is_silent", {}),
    "per atom": (energies_changed_by(per_atom), "supercells", {"repeats": (2, 2, 2)}),
    "order seen": (energies_changed_by(order_of_atoms), "permutations", {"structure": "molecule"}),
    "branch": (energies_changed_by(branch_on_data), "compiles_without_graph_breaks", {}),
    "precision lost": (
        energies_changed_by(lower_precision),
        "forces_are_the_slope_of_the_energy",
        {"structure": "molecule"},
    ),
    "noise": (energies_changed_by(noise), "evaluation_repeats_to_the_bit", {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, check, arguments = FAULTS[fault]
    standard = {**SMALL, "avg_num_neighbors": 8.0}
    run = getattr(Suite(), f"test_{check}")
    run(random_potential("so3krates", standard), **arguments)
    changed = plant(monkeypatch)
    with pytest.raises((AssertionError, torch._dynamo.exc.Unsupported)):
        run(random_potential("so3krates", {**standard, **changed}), **arguments)


def test_exemption_covers_what_it_names_and_nothing_else() -> None:
    exemption = Exemption("permutations", "none", {"structure": ("crystal",)})
    assert exemption.covers("test_permutations", {"structure": "crystal", "settings": {}})
    assert not exemption.covers("test_permutations", {"structure": "molecule"})
    assert not exemption.covers("test_translations", {"structure": "crystal"})
    assert Exemption("permutations", "none").covers("test_permutations", {"structure": "molecule"})


def test_exemption_from_a_check_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no check 'permutation'"):
        type("Wrong", (Suite,), {"exemptions": (Exemption("permutation", "none"),)})


NEEDLESS = """
from ase_geomformer.testing import ArchitectureSuite, Exemption
from tests.architectures.so3krates.small import SMALL


class TestExempted(ArchitectureSuite):
    name = "so3krates"
    variants = {"standard": {**SMALL, "avg_num_neighbors": 8.0}}
    exemptions = (Exemption("lone_atom", "none"),)
"""


def test_exemption_that_is_not_needed_fails(tmp_path: Path, root: Path) -> None:
    """The check runs all the same: passing where failure is expected is a failure."""
    (tmp_path / "test_needless.py").write_text(NEEDLESS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-k", "lone_atom or registered", "test_needless.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout
    assert "XPASS(strict)" in done.stdout
