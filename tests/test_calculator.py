"""What ASE and its users may rely on in PotentialCalculator."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import os
import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import CalculatorSetupError, PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from ase_geomformer import PotentialCalculator
from ase_geomformer.checkpoint import Card, save_potential
from ase_geomformer.graph import AtomGraph
from ase_geomformer.potential import Potential


@pytest.fixture
def calculator(potential: Potential) -> PotentialCalculator:
    return PotentialCalculator(potential, device="cpu")


@contextmanager
def evaluations(calculator: PotentialCalculator) -> Iterator[list[str]]:
    """Collects, for every evaluation of the architecture, whether a gradient followed."""
    seen: list[str] = []
    handle = calculator.potential.architecture.register_forward_hook(
        lambda module, inputs, outputs: seen.append(
            "gradient" if outputs["energies"].requires_grad else "energy"
        )
    )
    yield seen
    handle.remove()


def random_states() -> list[object]:
    numpy_state = [np.asarray(part).tolist() for part in np.random.get_state()]  # noqa: NPY002
    return [torch.get_rng_state().tolist(), numpy_state, random.getstate()]


# What is computed


def test_results_are_those_of_the_potential(
    calculator: PotentialCalculator, silicon: Atoms
) -> None:
    silicon.calc = calculator
    graph = AtomGraph.from_atoms(silicon, calculator.potential.cutoff)
    names = ("energy", "energies", "forces", "stress", "stresses")
    expected = {
        name: value.numpy(force=True) for name, value in calculator.potential(graph, names).items()
    }
    assert silicon.get_potential_energy() == pytest.approx(expected["energy"][0], rel=1e-14)
    assert silicon.get_potential_energy(force_consistent=True) == silicon.get_potential_energy()
    np.testing.assert_allclose(silicon.get_potential_energies(), expected["energies"])
    np.testing.assert_allclose(silicon.get_forces(), expected["forces"], atol=1e-14)
    tensor = expected["stress"][0]
    voigt = [tensor[0, 0], tensor[1, 1], tensor[2, 2], tensor[1, 2], tensor[0, 2], tensor[0, 1]]
    np.testing.assert_allclose(silicon.get_stress(), voigt, atol=1e-14)
    np.testing.assert_allclose(silicon.get_stress(voigt=False), tensor, atol=1e-14)
    np.testing.assert_allclose(silicon.get_stresses().sum(axis=0), voigt, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64", torch.float32])
def test_every_declared_property_is_delivered_in_ase_shapes(
    dtype: torch.dtype | str, potential: Potential, silicon: Atoms
) -> None:
    calculator = PotentialCalculator(potential, device="cpu", dtype=dtype)
    shapes = {"energies": (8,), "forces": (8, 3), "stress": (6,), "stresses": (8, 6)}
    scalars = {"energy", "free_energy"}
    assert set(calculator.implemented_properties) == scalars | shapes.keys()
    for name in calculator.implemented_properties:
        value = calculator.get_property(name, silicon)
        if name in scalars:
            assert type(value) is float
        else:
            assert (value.shape, value.dtype, value.flags.writeable) == (shapes[name], float, True)


def test_tension_is_positive(calculator: PotentialCalculator, silicon: Atoms) -> None:
    silicon.calc = calculator
    before, volume = silicon.get_potential_energy(), silicon.get_volume()
    pressure = -silicon.get_stress()[:3].mean()
    silicon.set_cell(silicon.cell * (1 + 1e-5), scale_atoms=True)
    slope = (silicon.get_potential_energy() - before) / (silicon.get_volume() - volume)
    assert pressure == pytest.approx(-slope, rel=1e-3)


def test_energy_alone_takes_no_gradient(calculator: PotentialCalculator, silicon: Atoms) -> None:
    silicon.calc = calculator
    with evaluations(calculator) as seen:
        silicon.get_potential_energy()
        silicon.get_potential_energy(force_consistent=True)
        silicon.get_potential_energies()
    assert seen == ["energy"]


def test_one_evaluation_serves_a_step_of_molecular_dynamics(
    calculator: PotentialCalculator, silicon: Atoms
) -> None:
    silicon.calc = calculator
    with evaluations(calculator) as seen:
        silicon.get_forces()
        silicon.get_potential_energy()
        silicon.get_stress()
    assert seen == ["gradient"]


def test_results_are_copies(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    expected = ethanol.get_forces()
    ethanol.get_forces()[:] = 0.0
    np.testing.assert_array_equal(ethanol.get_forces(), expected)


def test_stress_needs_a_volume(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    forces = ethanol.get_forces()
    for request in (ethanol.get_stress, ethanol.get_stresses):
        with pytest.raises(PropertyNotImplementedError, match="stress needs a cell with a volume"):
            request()
    ethanol.set_cell([[3, 0.1, 0.2], [0.1, 0.2, 0.7], [3.1, 0.3, 0.9]])
    assert ethanol.get_volume() > 0.0, "only rounding makes this cell a volume"
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell with a volume"):
        ethanol.get_stress()
    np.testing.assert_array_equal(ethanol.get_forces(), forces)


def test_stress_of_a_molecule_in_a_box(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    ethanol.center(vacuum=3.0)
    small = ethanol.get_stress() * ethanol.get_volume()
    ethanol.center(vacuum=30.0)
    np.testing.assert_allclose(ethanol.get_stress() * ethanol.get_volume(), small, atol=1e-12)


def test_undeclared_properties_are_refused(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    with pytest.raises(PropertyNotImplementedError):
        ethanol.get_dipole_moment()
    with pytest.raises(PropertyNotImplementedError, match="magmoms cannot be computed; the"):
        calculator.calculate(ethanol, ["energy", "magmoms"])


@pytest.mark.parametrize("skin", [0.0, 0.3, 2.0])
def test_the_skin_changes_no_result(
    skin: float, potential: Potential, silicon: Atoms, rng: np.random.Generator
) -> None:
    fresh = PotentialCalculator(potential, device="cpu", skin=0.0)
    kept = PotentialCalculator(potential, device="cpu", skin=skin)
    for _ in range(5):
        silicon.positions += rng.normal(scale=0.04, size=(8, 3))
        silicon.set_cell(silicon.cell * (1 + 0.01 * rng.normal()), scale_atoms=True)
        for name in ("energy", "forces", "stress"):
            np.testing.assert_allclose(
                kept.get_property(name, silicon), fresh.get_property(name, silicon), atol=1e-12
            )


# When results are remembered

CHANGES: dict[str, Callable[[Atoms], object]] = {
    "position": lambda atoms: atoms.positions.__setitem__((0, 0), atoms.positions[0, 0] + 1e-6),
    "cell": lambda atoms: atoms.set_cell(atoms.cell * 1.001),
    "pbc": lambda atoms: atoms.set_pbc([True, True, False]),
    "element": lambda atoms: atoms.numbers.__setitem__(0, 6),
    "atom added": lambda atoms: atoms.append("H"),
    "atom removed": lambda atoms: atoms.pop(0),
    "charge": lambda atoms: atoms.info.update(charge=-1),
    "charge in place": lambda atoms: atoms.info["charge"].__setitem__(..., -1),
    "charge removed": lambda atoms: atoms.info.pop("charge"),
    "spin": lambda atoms: atoms.info.update(spin=np.int32(3)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change: str, potential: Potential, silicon: Atoms) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    silicon.info["charge"] = np.array(1.0)
    silicon.positions[:, 2] += 1.0
    before = calculator.get_property("energy", silicon)
    CHANGES[change](silicon)
    fresh = PotentialCalculator(potential, device="cpu")
    for name in ("energy", "forces"):
        value, expected = calculator.get_property(name, silicon), fresh.get_property(name, silicon)
        np.testing.assert_allclose(value, expected, atol=1e-12)
    assert abs(calculator.get_property("energy", silicon) - before) > 1e-9


def test_exchanged_atoms_are_noticed(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    forces = calculator.get_property("forces", ethanol)
    order = np.random.default_rng(1).permutation(len(ethanol))
    exchanged = ethanol[order]
    np.testing.assert_allclose(
        calculator.get_property("forces", exchanged), forces[order], atol=1e-12
    )


def test_what_the_potential_does_not_read_is_ignored(
    calculator: PotentialCalculator, ethanol: Atoms
) -> None:
    ethanol.calc = calculator
    ethanol.info["nested"] = {"array": np.zeros(3), "list": [np.ones(2)]}
    with evaluations(calculator) as seen:
        ethanol.get_forces()
        ethanol.info["nested"]["array"][0] = 1.0
        ethanol.info["table"] = np.arange(6.0)
        ethanol.info["table"] = np.arange(7.0)
        ethanol.info.update(charge=0, spin=np.array(1))
        ethanol.set_initial_charges(np.ones(9))
        ethanol.set_velocities(np.ones((9, 3)))
        ethanol.set_tags(range(9))
        ethanol.get_forces()
    assert seen == ["gradient"]


def test_one_calculator_serves_several_structures(
    calculator: PotentialCalculator, ethanol: Atoms, silicon: Atoms
) -> None:
    ethanol.calc = silicon.calc = calculator
    first = ethanol.get_forces()
    assert silicon.get_forces().shape == (8, 3)
    np.testing.assert_allclose(ethanol.get_forces(), first, atol=1e-13)


def test_direct_calls_keep_nothing_of_the_structure_before(
    calculator: PotentialCalculator, ethanol: Atoms, silicon: Atoms
) -> None:
    calculator.calculate(silicon, ["stresses"])
    calculator.calculate(ethanol, ["energy"])
    assert set(calculator.results) == {"energy", "free_energy", "energies"}
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
        calculator.get_property("stress", ethanol)


def test_a_failure_leaves_no_result_behind(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    ethanol.get_potential_energy()
    ethanol.positions[0] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match="NaN or infinite position"):
            ethanol.get_potential_energy()
    assert calculator.results == {}


# What is left alone


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


# How it is made and carried about


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
        ({"device": "gpu"}, ValueError, "no device 'gpu'.*this machine has cpu"),
        ({"device": "cuda:99"}, ValueError, "no device 'cuda:99'.*this machine has cpu"),
        ({"device": None}, ValueError, "no device 'None'"),
        ({"dtype": "float16"}, ValueError, "float32, float64, or None, not 'float16'"),
        ({"dtype": torch.int64}, ValueError, "float32, float64, or None, not torch.int64"),
        ({"skin": -0.1}, ValueError, "skin must be .* not -0.1"),
        ({"skin": np.nan}, ValueError, "skin must be .* not nan"),
        ({"neighbors": "magic"}, ValueError, "backend 'magic' is unknown; available: .*vesin"),
        ({"potential": None}, TypeError, "registered name, a path or a Potential, not as NoneType"),
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
        "long_range_cutoff": "auto",
        "ewald": False,
        "compile": False,
        "radial_tables": True,
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


# In use


def test_nve_conserves_energy(make_potential: Callable, ethanol: Atoms) -> None:
    """The error of velocity Verlet falls with the square of the timestep."""
    potential = make_potential(energy_scale=100.0)

    def energies(timestep: float) -> np.ndarray:
        atoms = ethanol.copy()
        spread = np.sqrt(1000 * units.kB * atoms.get_masses())[:, None]
        atoms.set_momenta(spread * np.random.default_rng(5).normal(size=(9, 3)))
        atoms.calc = PotentialCalculator(potential)
        found = []
        dynamics = VelocityVerlet(atoms, timestep * units.fs)
        dynamics.attach(
            lambda: found.append([atoms.get_total_energy(), atoms.get_kinetic_energy()])
        )
        dynamics.run(round(10.0 / timestep))
        return np.array(found)

    coarse, fine = energies(0.5), energies(0.25)
    assert len(coarse) == 21
    assert np.ptp(coarse[:, 1]) > 0.05
    assert np.ptp(coarse[:, 0]) < 0.02 * np.ptp(coarse[:, 1])
    assert np.ptp(fine[:, 0]) == pytest.approx(np.ptp(coarse[:, 0]) / 4.0, rel=0.3)


def test_dynamics_evaluates_once_a_step(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    dynamics = VelocityVerlet(ethanol, 0.5 * units.fs, logfile=os.devnull, loginterval=1)
    with evaluations(calculator) as seen:
        dynamics.run(5)
    assert seen == ["gradient"] * 6
    assert calculator.neighbors.builds < calculator.neighbors.updates == 6


def test_cells_relax(make_potential: Callable) -> None:
    calculator = PotentialCalculator(make_potential(energy_scale=100.0))
    atoms = bulk("Si", "diamond", a=5.43)
    atoms.calc = calculator
    before = atoms.get_potential_energy()
    with evaluations(calculator) as seen:
        optimizer = BFGS(FrechetCellFilter(atoms), logfile=None)
        optimizer.run(fmax=0.0, steps=3)
    assert atoms.get_potential_energy() < before
    assert len(seen) <= 4


def test_cuda_agrees_with_the_cpu(potential: Potential, silicon: Atoms) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here = PotentialCalculator(potential, device="cpu")
    there = PotentialCalculator(potential, device="cuda")
    for name in here.implemented_properties:
        np.testing.assert_allclose(
            there.get_property(name, silicon), here.get_property(name, silicon), atol=1e-10
        )


def test_every_change_is_checked_again(potential: Potential, ethanol: Atoms) -> None:
    """Steps in which only positions change are not, and what was refused before stays refused."""
    ethanol.calc = calculator = PotentialCalculator(potential, device="cpu")
    ethanol.get_forces()
    for _ in range(2):
        ethanol.positions[0] += 0.01
        ethanol.get_forces()
        with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
            ethanol.get_stress()
    ethanol.center(vacuum=4.0)
    assert np.isfinite(ethanol.get_stress()).all()
    ethanol.cell = None
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
        ethanol.get_stress()
    assert "stress" not in calculator.results
    ethanol.numbers[0] = 79
    with pytest.raises(ValueError, match="does not know Au"):
        ethanol.get_forces()
    ethanol.numbers[0] = 6
    assert np.isfinite(ethanol.get_forces()).all()
