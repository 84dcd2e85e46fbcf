"""Potentials whose architecture predicts forces: marked, without stress, otherwise ordinary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from torch import Tensor, nn

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.accuracy.readme.page import write_readme
from ase_geomformer.architectures import base
from ase_geomformer.checkpoint.folder import Card, load_folder, save_potential, verify
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.hessian import hessian
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.recipes.modes.derivatives import curvature


@dataclass(frozen=True)
class PullSettings:
    """A cutoff in Å."""

    cutoff: float = 4.0


@pytest.fixture
def pull() -> Iterator[str]:
    """The name of an architecture with forces of a pull towards each neighbour, and no energy."""

    class Pull(base.Architecture, name="pull", settings=PullSettings):
        outputs = ("energies", "direct_forces")  # type: ignore[assignment]

        def __init__(self, settings: PullSettings) -> None:
            super().__init__(settings)
            self.strength = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

        def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
            pulls = self.strength * graph.edge_vectors
            forces = graph.receivers.sum(pulls)
            return {"energies": 0.0 * forces[:, 0], "direct_forces": forces}

    yield "pull"
    del base._REGISTRY["pull"]


@pytest.fixture
def direct(pull: str) -> Potential:
    return Potential(base.build(pull), ["Si"], energy_scale=2.0)


@pytest.fixture
def pair() -> Atoms:
    return Atoms("Si2", [[0, 0, 0], [0.6, 0, 0]], cell=[9, 9, 9], pbc=True)


def test_forces_are_the_prediction_in_units_of_the_scale(direct: Potential, pair: Atoms) -> None:
    calculator = PotentialCalculator(direct, device="cpu")
    expected = [[0.6, 0, 0], [-0.6, 0, 0]]  # scale 2 times strength 0.5 times 0.6 Å
    np.testing.assert_allclose(calculator.get_property("forces", pair), expected, atol=1e-14)
    (many,) = evaluate_many([pair], direct, device="cpu")
    np.testing.assert_allclose(many["forces"], expected, atol=1e-14)


def test_terms_add_their_gradients(pull: str, pair: Atoms) -> None:
    terms = {"zbl": {}}
    both = Potential(base.build(pull), ["Si"], terms=build_terms(terms))
    alone = Potential(base.build(pull), ["Si"])
    forces = {}
    for name, potential in {"both": both, "alone": alone}.items():
        forces[name] = PotentialCalculator(potential, device="cpu").get_property("forces", pair)
    graph = AtomGraph.from_atoms(pair, 4.0)
    step = 1e-5

    def repulsion(distance: float) -> float:
        atoms = pair.copy()
        atoms.positions[1, 0] = distance
        graph = AtomGraph.from_atoms(atoms, 4.0)
        return float(both.energy_terms(graph)["zbl"].sum())

    slope = (repulsion(0.6 + step) - repulsion(0.6 - step)) / (2 * step)
    assert slope < -1.0
    assert graph.num_edges == 2
    np.testing.assert_allclose((forces["both"] - forces["alone"])[1, 0], -slope, rtol=1e-6)


def test_there_is_no_stress_and_it_says_why(direct: Potential) -> None:
    calculator = PotentialCalculator(direct, device="cpu")
    assert not direct.conservative
    assert not calculator.conservative
    assert {"stress", "stresses"}.isdisjoint(calculator.implemented_properties)
    atoms = bulk("Si")
    atoms.calc = calculator
    atoms.get_forces()  # an ordinary request asks for no stress behind the scenes
    with pytest.raises(PropertyNotImplementedError, match="not the gradient"):
        calculator.calculate(atoms, ["stress"])


def test_an_exact_hessian_is_refused(direct: Potential, pair: Atoms) -> None:
    """Second derivatives of the energy would not be the slope of the forces."""
    with pytest.raises(ValueError, match="predicts forces directly"):
        hessian(direct, pair)
    matrix, method = curvature(as_evaluator(direct, device="cpu"), pair)
    assert method == "finite-difference"
    assert np.abs(matrix).max() > 0.1


def test_the_card_says_so(direct: Potential, pair: Atoms, tmp_path: Path) -> None:
    card = save_potential(direct, tmp_path / "direct", Card("direct"), [pair])
    assert card.conservative is False
    loaded = load_folder(tmp_path / "direct")
    assert max(verify(loaded).values()) == 0.0
    readme = write_readme(tmp_path / "direct").read_text(encoding="utf-8")
    assert "not the gradient of the energy" in " ".join(readme.split())


def test_forces_can_be_trained(direct: Potential, pair: Atoms) -> None:
    graph = AtomGraph.from_atoms(pair, direct.cutoff)
    forces = direct(graph, ("forces",), create_graph=True)["forces"]
    forces.square().sum().backward()
    parameter = next(direct.parameters())
    assert parameter.grad is not None
    assert float(parameter.grad) == pytest.approx(2 * 2 * 0.6**2 / 0.5)
