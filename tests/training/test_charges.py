"""Partial charges and the dipoles they make, as targets of a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer import Potential
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.losses import LossSettings, TargetLoss
from ase_geomformer.training.objective import Objective

NOTHING = TargetLoss(weight=0.0)
CHARGES = LossSettings(
    energy=NOTHING, forces=TargetLoss(), charges=TargetLoss(), dipole=TargetLoss(kind="l1")
)
WEIGHTS = torch.ones(3, dtype=torch.float64)


@pytest.fixture
def potential(make_potential: Callable[..., Potential]) -> Potential:
    return make_potential(num_features=16, num_layers=1, cutoff=3.5, charge_width=8)


@pytest.fixture
def batch(ethanol: Atoms, potential: Potential, rng: np.random.Generator) -> LabelledGraph:
    """A frame with all three labels, one without any of the charges, one with a dipole only."""
    forces, charges = rng.normal(size=(9, 3)), rng.normal(size=9)
    frames = [
        Frame(ethanol, forces=forces, charges=charges, dipole=np.array([0.3, -0.2, 0.1])),
        Frame(ethanol, forces=2.0 * forces),
        Frame(ethanol, dipole=np.array([0.0, 0.4, 0.0])),
    ]
    return GraphDataset(frames, potential.cutoff, dtype=torch.float64).batch([0, 1, 2])


def test_losses_by_hand(potential: Potential, batch: LabelledGraph) -> None:
    objective = Objective(potential, CHARGES, scale=0.5)
    assert objective.counts(batch).tolist() == [18, 9, 2]
    charges = potential(batch.graph, ("charges",))["charges"].detach()
    dipoles = (charges[:, None] * batch.graph.positions).view(3, 9, 3).sum(dim=1)
    found = objective(batch, WEIGHTS, objective.counts(batch)).by_target
    assert found[1].item() == pytest.approx((charges[:9] - batch.charges[:9]).square().mean())
    lengths = (dipoles - batch.dipole)[[0, 2]].norm(dim=1)
    assert found[2].item() == pytest.approx(lengths.mean().item(), rel=1e-6)


def test_gradient_is_the_derivative_of_the_loss(potential: Potential, batch: LabelledGraph) -> None:
    objective = Objective(potential, CHARGES, scale=0.5)
    parameters = list(potential.parameters())

    def loss() -> torch.Tensor:
        return objective(batch, WEIGHTS, objective.counts(batch)).loss

    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True, materialize_grads=True)
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    values = []
    for step in (1e-5, -2e-5):
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter.add_(d, alpha=step)
        values.append(loss().item())
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_padding_changes_nothing(potential: Potential, batch: LabelledGraph) -> None:
    objective = Objective(potential, CHARGES, scale=0.5)
    counts = objective.counts(batch)
    padded = batch.pad(batch.graph.num_atoms + 5, batch.graph.num_edges + 20, potential.cutoff)
    assert torch.equal(objective.counts(padded), counts)
    torch.testing.assert_close(
        objective(padded, WEIGHTS, counts).by_target, objective(batch, WEIGHTS, counts).by_target
    )


def test_an_architecture_without_charges_is_refused(
    make_potential: Callable[..., Potential],
) -> None:
    with pytest.raises(ValueError, match="the loss needs charges.*charge_width"):
        Objective(make_potential(), CHARGES, scale=1.0)


def test_dipoles_of_formaldehyde_are_learnt(
    h2co: Path, make_potential: Callable[..., Potential]
) -> None:
    """From the B3LYP dipoles alone; before, predicted ones have nothing to do with them."""
    frames = read_frames(DataSettings(str(h2co), dipole_key="dipole"))
    potential = make_potential(num_features=16, num_layers=1, cutoff=3.5, charge_width=8)
    settings = LossSettings(energy=NOTHING, forces=NOTHING, dipole=TargetLoss())
    objective = Objective(potential, settings, scale=1.0)
    dataset = GraphDataset(frames, potential.cutoff, dtype=torch.float64)
    train, test = dataset.batch(range(80)), dataset.batch(range(80, len(frames)))

    def relative_error() -> float:
        counts = objective.counts(test)
        loss = objective(test, WEIGHTS[:1], counts).by_target.detach()
        return float((loss / test.dipole.square().mean()).sqrt())

    before = relative_error()
    optimizer = torch.optim.AdamW(potential.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        objective(train, WEIGHTS[:1], objective.counts(train)).loss.backward()
        optimizer.step()
    assert before > 0.5
    assert relative_error() < 0.15
