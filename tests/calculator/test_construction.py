"""How a calculator is made, described, copied and stored."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import CalculatorSetupError

from ase_geomformer import PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.potential import Potential
from tests.calculator.counting import evaluations


@pytest.fixture
def saved(potential: Potential, tmp_path: Path) -> Path:
    save_potential(potential, tmp_path / "random-network", Card("random-network"))
    return tmp_path / "random-network"


def test_names_paths_and_potentials_are_the_same(
    saved: Path, potential: Potential, ethanol: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASE_GEOMFORMER_POTENTIALS", str(saved.parent))
    energies = {
        PotentialCalculator(source, device="cpu").get_property("energy", ethanol)
        for source in ("random-network", saved, str(saved), potential)
    }
    assert len(energies) == 1


def test_the_potential_given_is_copied(potential: Potential, ethanol: Atoms) -> None:
    calculator = PotentialCalculator(potential, dtype="float32")
    assert potential.dtype == torch.float64
    assert potential.training
    before = calculator.get_property("energy", ethanol)
    with torch.no_grad():
        potential.architecture.energy_head.final.bias.add_(1.0)
    calculator.reset()
    assert calculator.get_property("energy", ethanol) == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"device": "gpu"}, ValueError, "device 'gpu' is not available .* auto, cpu"),
        ({"device": "cuda:99"}, ValueError, "device 'cuda:99' is not available .* auto, cpu"),
        ({"dtype": "float16"}, ValueError, "dtype = 'float16' must be one of auto, float32, float"),
        ({"dtype": torch.int64}, ValueError, "dtype = 'int64' must be one of auto, float32, flo"),
        ({"skin": -0.1}, ValueError, "skin = -0.1 must be zero or positive"),
        ({"skin": np.nan}, ValueError, "skin = nan must be a finite number"),
        ({"long_range_cutoff": "far"}, ValueError, "= 'far' must be a finite number or auto"),
        ({"long_range_cutoff": 0}, ValueError, "long_range_cutoff = 0 must be positive"),
        ({"radial_tables": "yes"}, ValueError, "'yes' must be one of true, false, auto"),
        ({"compile": 1}, ValueError, "must be one of true, false, auto"),
        ({"skn": 0.1}, TypeError, "unknown keyword 'skn'; did you mean 'skin'?"),
        ({"neighbors": "magic"}, ValueError, "backend 'magic' is unknown; available: .*vesin"),
        ({"potential": None}, TypeError, "as a path or as a Potential, not as NoneType"),
        ({"potential": "nothing"}, FileNotFoundError, "no potential 'nothing'"),
    ],
)
def test_impossible_arguments(
    arguments: dict[str, object], error: type[Exception], message: str, potential: Potential
) -> None:
    with pytest.raises(error, match=message):
        PotentialCalculator(**{"potential": potential, **arguments})  # type: ignore[arg-type]


def test_auto_device_is_the_best_there_is(potential: Potential) -> None:
    calculator = PotentialCalculator(potential)
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert calculator.potential.device.type == calculator.parameters["device"] == best


def test_parameters_describe_it_and_are_fixed(saved: Path) -> None:
    calculator = PotentialCalculator(saved, device="cpu", dtype="float32")
    expected = {
        "potential": "random-network",
        "device": "cpu",
        "dtype": "float32",
        "neighbors": "auto",
        "skin": calculator.neighbors.skin,
        "long_range": "auto",
        "long_range_cutoff": "auto",
        "ewald": False,
        "dispersion": None,
        "compile": "auto",
        "radial_tables": True,
        "keep_memory": True,
        "domain": "warn",
    }
    assert calculator.todict() == expected
    assert repr(calculator).startswith("PotentialCalculator(potential='random-network', device=")
    assert calculator.name == "geomformer"
    with pytest.raises(CalculatorSetupError, match="skin cannot be changed"):
        calculator.set(skin=1.0)


@pytest.mark.parametrize(
    "carry", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("used", [False, True])
def test_copies_work_and_are_independent(
    carry: Callable, used: bool, calculator: PotentialCalculator, silicon: Atoms
) -> None:
    silicon.calc = calculator
    if used:
        silicon.get_forces()
    other = carry(silicon)
    assert other.calc is not calculator
    with evaluations(calculator) as seen:
        np.testing.assert_array_equal(other.get_forces(), silicon.get_forces())
        other.positions[0] += 0.1
        other.get_forces()
    assert seen == ([] if used else ["gradient"])


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes(method: str, calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    expected = ethanol.get_forces()
    moved = ethanol.copy()
    moved.positions += 3.0
    moved.calc = calculator
    with multiprocessing.get_context(method).Pool(1) as pool:
        results = pool.map(methodcaller("get_forces"), [ethanol, moved])
    for forces in results:
        np.testing.assert_allclose(forces, expected, atol=1e-12)


@pytest.mark.parametrize("suffix", ["traj", "extxyz", "json", "db"])
def test_atoms_with_results_are_written(
    suffix: str, calculator: PotentialCalculator, silicon: Atoms, tmp_path: Path
) -> None:
    silicon.calc = calculator
    forces, stress = silicon.get_forces(), silicon.get_stress()
    ase.io.write(tmp_path / f"atoms.{suffix}", silicon)
    read = ase.io.read(tmp_path / f"atoms.{suffix}")
    assert isinstance(read, Atoms)
    assert read.get_potential_energy() == pytest.approx(silicon.get_potential_energy(), abs=1e-7)
    np.testing.assert_allclose(read.get_forces(), forces, atol=1e-7)
    np.testing.assert_allclose(read.get_stress(), stress, atol=1e-7)


def test_databases_keep_the_parameters(
    calculator: PotentialCalculator, ethanol: Atoms, tmp_path: Path
) -> None:
    ethanol.calc = calculator
    ethanol.get_forces()
    with ase.db.connect(tmp_path / "atoms.db") as database:
        database.write(ethanol)
        row = database.get(1)
    assert row.calculator == "geomformer"
    assert row.calculator_parameters == calculator.todict()
