"""Calculators in several threads give what they give in one."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

from ase_geomformer import Potential, PotentialCalculator, evaluate_many
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.machine.lock import Lock

THREADS, EVALUATIONS = 4, 50


@pytest.fixture
def make_small(make_potential: Callable[..., Potential]) -> Callable[[int], Potential]:
    """Potentials that are evaluated quickly, so that threads meet often."""
    return lambda seed: make_potential(seed=seed, num_features=16, num_layers=1, degrees=(1,))


@pytest.fixture
def potential(make_small: Callable[[int], Potential]) -> Potential:
    return make_small(0)


@pytest.fixture
def work(ethanol: Atoms, silicon: Atoms, water_box: Atoms) -> list[list[Atoms]]:
    """The structures of each thread, which differ in atoms, cells and boundaries."""
    water = water_box[:3]
    assert isinstance(water, Atoms)
    crystal = silicon.repeat((2, 1, 1))
    return [
        [moved(atoms, 100 * thread + step) for step in range(EVALUATIONS)]
        for thread, atoms in enumerate((ethanol, silicon, water, crystal))
    ]


def moved(atoms: Atoms, seed: int) -> Atoms:
    other = atoms.copy()
    other.positions += 0.02 * np.random.default_rng(seed).normal(size=other.positions.shape)
    return other


def ask(calculator: Calculator, structures: list[Atoms]) -> list[dict[str, Any]]:
    """As ASE's optimisers and dynamics do: a property at a time, each of the same structure."""
    found = []
    for atoms in structures:
        atoms = atoms.copy()
        atoms.calc = calculator
        forces, energy = atoms.get_forces(), atoms.get_potential_energy()
        found.append({"forces": forces, "energy": energy})
        if atoms.pbc.all():
            found[-1]["stress"] = atoms.get_stress()
    several = structures[0].copy()
    several.calc = calculator
    properties = several.get_properties(["energy", "forces"])
    found.append({name: properties[name] for name in ("energy", "forces")})
    return found


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            np.testing.assert_allclose(value, other[name], rtol=1e-9, atol=1e-11)


def together(tasks: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


@pytest.mark.parametrize("kind", ["potential", "committee"])
def test_one_calculator_in_four_threads(
    kind: str, make_small: Callable[[int], Potential], work: list[list[Atoms]]
) -> None:
    members = [make_small(seed) for seed in (1, 2)]
    calculator: Calculator = (
        PotentialCalculator(members[0], device="cpu")
        if kind == "potential"
        else CommitteeCalculator(members, device="cpu")
    )
    work = work if kind == "potential" else [structures[:10] for structures in work]
    expected = [ask(calculator, structures) for structures in work]
    found = together([lambda own=own: ask(calculator, own) for own in work])
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("shared", [False, True])
def test_two_calculators_in_two_threads(
    shared: bool, potential: Potential, work: list[list[Atoms]]
) -> None:
    """Each with a potential of its own, or with the one that both were lent."""
    one = PotentialCalculator(potential, device="cpu")
    two = PotentialCalculator(one.prepared if shared else potential, device="cpu")
    tasks = work[:2]
    expected = [ask(one, structures) for structures in tasks]
    found = together([lambda: ask(one, tasks[0]), lambda: ask(two, tasks[1])])
    for result, other in zip(found, expected, strict=True):
        assert_same(result, other)


def test_batches_and_a_calculator_at_once(potential: Potential, work: list[list[Atoms]]) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    expected = [ask(calculator, structures) for structures in work[:2]]
    single, batches = together(
        [
            lambda: ask(calculator, work[0]),
            lambda: [evaluate_many(work[1][:10], calculator) for _ in range(5)],
        ]
    )
    assert_same(single, expected[0])
    for batch in batches:
        chosen = [{name: result[name] for name in ("energy", "forces")} for result in batch]
        assert_same(
            chosen,
            [{name: value[name] for name in ("energy", "forces")} for value in expected[1][:10]],
        )


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_do_not_wait_for_each_other(copied: Callable, potential: Potential) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    other = copied(calculator)
    assert isinstance(other._lock, Lock)
    assert other._lock is not calculator._lock
    assert other.prepared._lock is not calculator.prepared._lock


def test_a_lock_lets_one_thread_in_at_a_time() -> None:
    lock, inside, most = Lock(), 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock, lock:
                inside += 1
                most = max(most, inside)
                inside -= 1

    together([enter] * 4)
    assert most == 1
