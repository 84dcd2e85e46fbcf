from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.backends.debugging import boxed_nop

from ase_geomformer import Potential
from ase_geomformer.acceleration.compiler import MiscompiledError, check_same
from ase_geomformer.acceleration.decompositions import decompositions
from ase_geomformer.architectures import build
from ase_geomformer.data.frames import Frame
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.losses import LossSettings, TargetLoss
from ase_geomformer.training.objective import CompiledObjective, Objective, with_one_gradient

EVERY = LossSettings(
    energy=TargetLoss(kind="huber", weight=2.0), forces=TargetLoss(kind="l1"), stress=TargetLoss()
)
WEIGHTS = torch.tensor([2.0, 1.0, 30.0], dtype=torch.float64)
SCALE = 0.7


@pytest.fixture
def frames(silicon: Atoms, ethanol: Atoms, rng: np.random.Generator) -> list[Frame]:
    """Crystals and molecules, each lacking other labels."""

    def forces(atoms: Atoms) -> np.ndarray:
        return rng.normal(size=(len(atoms), 3))

    stress = 0.01 * np.eye(3)
    return [
        Frame(silicon, energy=-40.0, forces=forces(silicon), stress=stress),
        Frame(ethanol, energy=-3.0, forces=forces(ethanol)),
        Frame(silicon, forces=forces(silicon)),
        Frame(ethanol, energy=-5.0),
        Frame(silicon, energy=-41.0, stress=2.0 * stress),
    ]


@pytest.fixture
def potential(make_potential: Callable[..., Potential]) -> Potential:
    return make_potential(num_features=16, num_layers=1, cutoff=3.5, energy_scale=1.0)


@pytest.fixture
def batch(frames: list[Frame], potential: Potential) -> LabelledGraph:
    return GraphDataset(frames, potential.cutoff, dtype=torch.float64).batch(range(len(frames)))


def loss_and_gradients(
    objective: Objective, batch: LabelledGraph
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    result = objective(batch, WEIGHTS, objective.counts(batch))
    parameters = list(objective.potential.parameters())
    gradients = torch.autograd.grad(
        result.loss, parameters, allow_unused=True, materialize_grads=True
    )
    return result.loss.detach(), list(gradients)


def test_loss_by_hand(frames: list[Frame], potential: Potential, batch: LabelledGraph) -> None:
    """Each target averages over the rows that have it: 4 structures, 25 atoms, 2 structures."""
    objective = Objective(potential, EVERY, SCALE)
    assert objective.counts(batch).tolist() == [4, 8 + 9 + 8, 2]
    results = potential(batch.graph, ("energy", "forces", "stress"))
    first = torch.tensor([0, 8, 17, 25, 34])
    energy, forces, stress = [], [], []
    for index, frame in enumerate(frames):
        atoms = slice(int(first[index]), int(first[index]) + len(frame.atoms))
        if frame.energy is not None:
            error = (results["energy"][index] - frame.energy).abs() / len(frame.atoms) / SCALE
            energy.append(0.1 * (0.5 * (error / 0.1) ** 2 if error < 0.1 else error / 0.1 - 0.5))
        if frame.forces is not None:
            errors = results["forces"][atoms] - torch.from_numpy(frame.forces)
            forces.extend(errors.norm(dim=1) / SCALE)
        if frame.stress is not None:
            errors = results["stress"][index] - torch.from_numpy(frame.stress)
            stress.append((errors / SCALE).square().mean())
    expected = [float(torch.stack(list(part)).mean()) for part in (energy, forces, stress)]
    result = objective(batch, WEIGHTS, objective.counts(batch))
    assert result.by_target.tolist() == pytest.approx(expected, rel=1e-6)
    assert result.loss.item() == pytest.approx(np.dot(WEIGHTS.numpy(), expected), rel=1e-6)


def test_absolute_errors_are_summed_over_components(
    potential: Potential, batch: LabelledGraph
) -> None:
    objective = Objective(potential, LossSettings(), SCALE)
    result = objective(batch, WEIGHTS[:2], objective.counts(batch))
    forces = potential(batch.graph, ("forces",))["forces"]
    labelled = batch.rows("forces")
    expected = (forces - batch.forces)[labelled].abs().sum()
    assert result.absolute[1].item() == pytest.approx(expected.item())


def test_gradient_is_the_derivative_of_the_loss(potential: Potential, batch: LabelledGraph) -> None:
    """Along random directions; it passes through the forces, which are a gradient themselves."""
    objective = Objective(potential, EVERY, SCALE)
    _, gradients = loss_and_gradients(objective, batch)
    parameters = list(potential.parameters())
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.add_(d, alpha=step)
            values.append(loss_and_gradients(objective, batch)[0].item())
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.sub_(d, alpha=step)
        assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("target", ["energy", "forces", "stress"])
def test_what_has_no_label_has_no_say(
    target: str, potential: Potential, batch: LabelledGraph
) -> None:
    """Whatever stands where a label is missing, loss and gradients are the same and finite."""
    objective = Objective(potential, EVERY, SCALE)
    loss, gradients = loss_and_gradients(objective, batch)
    values = getattr(batch, target).clone()
    values[~batch.rows(target)] = 1e3
    other_loss, others = loss_and_gradients(objective, replace(batch, **{target: values}))
    assert other_loss.item() == loss.item()
    for gradient, other in zip(gradients, others, strict=True):
        assert torch.isfinite(gradient).all()
        assert torch.equal(gradient, other)


def test_a_target_without_any_label_counts_nothing(
    potential: Potential, batch: LabelledGraph
) -> None:
    objective = Objective(potential, EVERY, SCALE)
    bare = replace(batch, has_stress=torch.zeros_like(batch.has_stress))
    assert objective(bare, WEIGHTS, objective.counts(bare)).by_target[2].item() == 0.0


def test_padding_changes_nothing(potential: Potential, batch: LabelledGraph) -> None:
    objective = Objective(potential, EVERY, SCALE)
    padded = batch.pad(batch.graph.num_atoms + 7, batch.graph.num_edges + 50, potential.cutoff)
    assert torch.equal(objective.counts(padded), objective.counts(batch))
    loss, gradients = loss_and_gradients(objective, batch)
    padded_loss, padded_gradients = loss_and_gradients(objective, padded)
    torch.testing.assert_close(padded_loss, loss)
    torch.testing.assert_close(padded_gradients, gradients)


def test_compiled_equals_plain(
    potential: Potential,
    frames: list[Frame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one graph for batches of different sizes, and after the weights have changed."""
    compile_with = torch.compile
    calls = []

    def compile_once(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        return compile_with(*arguments, **(options | {"backend": "aot_eager"}))

    monkeypatch.setattr(torch, "compile", compile_once)
    dataset = GraphDataset(frames, potential.cutoff, dtype=torch.float64)
    plain = Objective(potential, EVERY, SCALE)
    compiled = CompiledObjective(
        potential, EVERY, SCALE, num_atoms=48, num_edges=int(dataset.num_edges.sum()) + 4
    )
    for indices in ([0, 1, 2, 3, 4], [4, 3, 1, 0, 2]):
        batch = dataset.batch(indices)
        loss, gradients = loss_and_gradients(plain, batch)
        compiled_loss, compiled_gradients = loss_and_gradients(compiled, batch)
        torch.testing.assert_close(compiled_loss, loss)
        torch.testing.assert_close(compiled_gradients, gradients)
        with torch.no_grad():
            for parameter in potential.parameters():
                parameter.mul_(1.1)
    assert len(calls) == 1


def test_a_small_gradient_is_compared_as_a_part_of_the_whole() -> None:
    """Rounding leaves more in it than its own size tells, where large terms cancel."""
    parts = [torch.ones((), dtype=torch.float64)] * 3
    large, small = 1e6 * torch.ones(3, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    exact = with_one_gradient([*parts, large, small])
    check_same(with_one_gradient([*parts, large, small + 1e-3]), exact, exact)
    with pytest.raises(MiscompiledError, match="off by 0.1 "):
        check_same(with_one_gradient([*parts, large, small + 1e-1]), exact, exact)


def test_what_inductor_is_given_equals_plain(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EST with inductor's decompositions and ours, operation by operation to spare the time."""
    compile_with = torch.compile
    backend = aot_autograd(fw_compiler=boxed_nop, decompositions=decompositions())

    def decompose(*arguments: object, **options: object) -> object:
        return compile_with(*arguments, **(options | {"backend": backend}))

    monkeypatch.setattr(torch, "compile", decompose)
    settings = {"cutoff": 3.5, "num_layers": 1, "lmax": 1, "messages": "so2"}
    architecture = build("est", {**settings, "avg_num_neighbors": 8.0})
    potential = Potential(architecture, ["H", "C", "O", "Si"], energy_scale=1.0).double()
    dataset = GraphDataset(frames[:2], potential.cutoff, dtype=torch.float64)
    batch = dataset.batch([0, 1])
    compiled = CompiledObjective(
        potential, EVERY, SCALE, num_atoms=20, num_edges=int(dataset.num_edges.sum())
    )
    loss, gradients = loss_and_gradients(Objective(potential, EVERY, SCALE), batch)
    compiled_loss, compiled_gradients = loss_and_gradients(compiled, batch)
    torch.testing.assert_close(compiled_loss, loss)
    torch.testing.assert_close(compiled_gradients, gradients)


def test_compiled_leaves_frozen_parameters_alone(
    potential: Potential, batch: LabelledGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_with = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda *a, **k: compile_with(*a, **(k | {"backend": "eager"}))
    )
    frozen = next(potential.architecture.parameters()).requires_grad_(False)
    compiled = CompiledObjective(
        potential, EVERY, SCALE, num_atoms=48, num_edges=batch.graph.num_edges
    )
    compiled(batch, WEIGHTS, compiled.counts(batch)).loss.backward()
    plain = {name: p.grad for name, p in potential.named_parameters()}
    potential.zero_grad()
    Objective(potential, EVERY, SCALE)(batch, WEIGHTS, compiled.counts(batch)).loss.backward()
    assert frozen.grad is None
    for name, parameter in potential.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(plain[name], parameter.grad)
