"""The same input gives the same bits, on one machine, with any number of threads at work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.potential import Potential

PROPERTIES = ("energy", "forces", "stress", "stresses")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def bits(potential: Potential, atoms: Atoms, dtype: str = "float32") -> bytes:
    """All results of a fresh calculator."""
    calculator = PotentialCalculator(potential, device="cpu", dtype=dtype)
    calculator.calculate(atoms, PROPERTIES)
    return b"".join(np.asarray(calculator.results[name]).tobytes() for name in PROPERTIES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_evaluation_repeats_to_the_bit(
    dtype: str, threads: int, potential: Potential, silicon: Atoms
) -> None:
    """On a crystal that is large enough for torch to share work among threads."""
    crystal = silicon.repeat((4, 2, 2))
    first = bits(potential, crystal, dtype)
    for _ in range(2):
        assert bits(potential, crystal, dtype) == first


def test_a_batch_repeats_to_the_bit(threads: int, potential: Potential, silicon: Atoms) -> None:
    structures = [silicon.repeat((4, 1, 1)), silicon, silicon.repeat((2, 2, 2))]
    first, second = (evaluate_many(structures, potential, device="cpu") for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one["energy"] == other["energy"]
        np.testing.assert_array_equal(one["forces"], other["forces"])


def test_gradients_of_the_weights_repeat_to_the_bit(
    threads: int, potential: Potential, silicon: Atoms
) -> None:
    """What a training step takes: derivatives of forces by the weights."""
    from ase_geomformer.graph.atom_graph import AtomGraph

    graph = AtomGraph.from_atoms(silicon.repeat((4, 2, 2)), potential.cutoff)

    def gradients() -> list[torch.Tensor]:
        results = potential(graph, ("energy", "forces"), create_graph=True)
        loss = results["energy"].square().sum() + results["forces"].square().sum()
        weights = [weight for weight in potential.parameters() if weight.requires_grad]
        return list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))

    first = gradients()
    assert any(bool(gradient.any()) for gradient in first)
    for one, other in zip(first, gradients(), strict=True):
        assert torch.equal(one, other)


def test_deterministic_mode_is_possible_and_changes_nothing(
    potential: Potential, silicon: Atoms
) -> None:
    """No operation is refused by it, and on a CPU there is nothing for it to change."""
    plain = bits(potential, silicon)
    torch.use_deterministic_algorithms(True)
    try:
        assert bits(potential, silicon) == plain
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_test_would_see_another_order_of_sums(potential: Potential, silicon: Atoms) -> None:
    crystal = silicon.repeat((4, 2, 2))
    order = np.random.default_rng(0).permutation(len(crystal))
    sums = [
        PotentialCalculator(potential, device="cpu", dtype="float32").get_property("forces", atoms)
        for atoms in (crystal, crystal[order])
    ]
    assert not np.array_equal(sums[0][order], sums[1])
