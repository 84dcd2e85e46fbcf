from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ase_geomformer.training.muon import COEFFICIENTS, ITERATIONS, Muon, hidden_matrices, orthogonal


def parameters(*shapes: tuple[int, ...], seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def set_gradients(parameters: list[nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def steps(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], which: range) -> None:
    for step in which:
        set_gradients(parameters, step)
        optimizer.step()


def values(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 30)])
def test_singular_values_end_near_one(shape: tuple[int, ...]) -> None:
    """And singular vectors stay: the polar factor is approached, not just any rotation."""
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    result = orthogonal(matrices)
    singular = torch.linalg.svdvals(result)
    assert 0.6 < singular.min() < singular.max() < 1.3
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    overlap = torch.einsum("kij,kij->k", result, u @ vh) / shape[1]
    assert overlap.min() > 0.8


def test_zero_gradient_stays_zero() -> None:
    assert torch.equal(orthogonal(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4))


def test_plain_matrices_move_as_in_torch() -> None:
    torch_muon = getattr(torch.optim, "Muon", None)
    if torch_muon is None:
        pytest.skip("torch has Muon from 2.9 on")
    shapes = ((6, 6), (4, 12), (12, 4))
    ours, theirs = parameters(*shapes), parameters(*shapes)
    options = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    reference = torch_muon(
        theirs,
        ns_coefficients=COEFFICIENTS,
        ns_steps=ITERATIONS,
        adjust_lr_fn="match_rms_adamw",
        **options,
    )
    steps(Muon(ours, **options), ours, range(5))
    steps(reference, theirs, range(5))
    for before, mine, other in zip(parameters(*shapes), ours, theirs, strict=True):
        moved = (other - before).norm()
        # bfloat16 inside: products over other layouts round differently
        assert (mine - other).norm() < 0.02 * moved


def test_each_matrix_of_a_stack_moves_as_it_would_alone() -> None:
    (stack,) = parameters((3, 4, 5))
    alone = [nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    optimizers = Muon([stack], lr=0.1), Muon(alone, lr=0.1)
    for step in range(3):
        set_gradients([stack], step)
        for matrix, gradient in zip(alone, stack.grad, strict=True):
            matrix.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(stack.detach(), torch.stack(values(alone)), rtol=0, atol=2e-3)


def test_others_move_as_with_adamw() -> None:
    (matrix,), others = parameters((4, 4)), parameters((5,), (7, 3), seed=1)
    theirs = [nn.Parameter(value) for value in values(others)]
    steps(Muon([matrix], others, lr=0.01), others, range(4))
    steps(torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.0, fused=True), theirs, range(4))
    for mine, other in zip(others, theirs, strict=True):
        assert torch.equal(mine, other)


def test_both_parts_follow_a_schedule() -> None:
    matrices, others = parameters((4, 4)), parameters((5,))
    optimizer = Muon(matrices, others, lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    steps(optimizer, [*matrices, *others], range(1))
    schedule.step()
    before = values([*matrices, *others])
    steps(optimizer, [*matrices, *others], range(1, 2))
    for then, now in zip(before, values([*matrices, *others]), strict=True):
        assert torch.equal(then, now)


def test_restored_state_continues_to_the_bit() -> None:
    def fresh() -> tuple[list[nn.Parameter], Muon]:
        matrices, others = parameters((4, 6), (2, 3, 3)), parameters((5,), seed=1)
        return [*matrices, *others], Muon(matrices, others, lr=0.01, weight_decay=0.1)

    whole, optimizer = fresh()
    steps(optimizer, whole, range(3))
    state, halfway = copy.deepcopy(optimizer.state_dict()), values(whole)
    steps(optimizer, whole, range(3, 6))
    resumed, other = fresh()
    for parameter, value in zip(resumed, halfway, strict=True):
        parameter.data.copy_(value)
    other.load_state_dict(state)
    steps(other, resumed, range(3, 6))
    for mine, reference in zip(resumed, whole, strict=True):
        assert torch.equal(mine, reference)


def test_parameters_without_gradient_stay() -> None:
    with_gradient, without = parameters((4, 4), (4, 4))
    before = without.detach().clone()
    with_gradient.grad = torch.ones(4, 4)
    Muon([with_gradient, without], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(without, before)


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs matrices; a parameter has shape \(5,\)"):
        Muon(parameters((5,)))


def test_hidden_matrices_are_those_of_hidden_layers() -> None:
    network = nn.ModuleDict(
        {
            "embedding": nn.Embedding(10, 4),
            "hidden": nn.Linear(4, 8),
            "frozen": nn.Linear(8, 8, bias=False).requires_grad_(False),
            "norm": nn.LayerNorm(8),
            "output": nn.Linear(8, 1),
        }
    )
    network.register_parameter("stack", nn.Parameter(torch.zeros(2, 8, 8)))
    chosen = {id(parameter) for parameter in hidden_matrices(network)}
    names = {name for name, parameter in network.named_parameters() if id(parameter) in chosen}
    assert names == {"hidden.weight", "stack"}
