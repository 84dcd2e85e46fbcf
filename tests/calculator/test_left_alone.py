"""What a calculator leaves alone: its caller's atoms, and everything global."""

from __future__ import annotations

import logging
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator
from ase_geomformer.potential import Potential


def random_states() -> list[object]:
    numpy_state = [np.asarray(part).tolist() for part in np.random.get_state()]  # noqa: NPY002
    return [torch.get_rng_state().tolist(), numpy_state, random.getstate()]


def test_atoms_are_only_read(calculator: PotentialCalculator, silicon: Atoms) -> None:
    silicon.positions += 20.0  # Far outside the cell, and not to be wrapped back.
    silicon.info.update(charge=np.array(1), note={"a": [1]})
    silicon.set_momenta(np.ones((8, 3)))
    before = pickle.dumps(silicon)
    for array in silicon.arrays.values():
        array.setflags(write=False)
    calculator.calculate(silicon, calculator.implemented_properties)
    assert pickle.dumps(silicon) == before


def test_constrained_atoms_give_plain_forces_to_the_calculator(
    calculator: PotentialCalculator, ethanol: Atoms
) -> None:
    from ase.constraints import FixAtoms

    free = calculator.get_property("forces", ethanol)
    ethanol.set_constraint(FixAtoms([0]))
    ethanol.calc = calculator
    np.testing.assert_array_equal(ethanol.get_forces(apply_constraint=False), free)
    assert not ethanol.get_forces()[0].any()


def test_nothing_global_is_touched(
    potential: Potential, ethanol: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state, environment = random_states(), dict(os.environ)
    handlers = list(logging.root.handlers)
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            calculator = PotentialCalculator(potential, dtype="float32")
            calculator.calculate(ethanol, ["forces"])
            assert torch.get_default_dtype() == dtype
        finally:
            torch.set_default_dtype(torch.float32)
    assert random_states() == state
    assert dict(os.environ) == environment
    assert logging.root.handlers == handlers
    assert list(tmp_path.iterdir()) == []


def test_the_global_dtype_does_not_matter(potential: Potential, silicon: Atoms) -> None:
    results = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            calculator = PotentialCalculator(potential, dtype="float32")
            results.append(calculator.get_property("stress", silicon))
        finally:
            torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_gradient_modes_of_the_caller(
    mode: Callable, calculator: PotentialCalculator, ethanol: Atoms
) -> None:
    expected = calculator.get_property("forces", ethanol)
    calculator.reset()
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        np.testing.assert_array_equal(calculator.get_property("forces", ethanol), expected)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def test_silence(potential: Potential, ethanol: Atoms, capfd: pytest.CaptureFixture[str]) -> None:
    PotentialCalculator(potential).get_property("forces", ethanol)
    assert tuple(capfd.readouterr()) == ("", "")
