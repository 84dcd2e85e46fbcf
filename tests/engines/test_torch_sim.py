"""Potentials as models of torch-sim."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from ase_geomformer.calculator import PotentialCalculator

torch_sim = pytest.importorskip("torch_sim", reason="torch-sim is not installed")

from ase_geomformer.architectures.base import build  # noqa: E402
from ase_geomformer.engines.torch_sim import TorchSimModel  # noqa: E402
from ase_geomformer.potential import Potential  # noqa: E402

EXACT = {"dtype": "float64", "compile": False}


def state_of(structures: list[Atoms]):
    return torch_sim.io.atoms_to_state(structures, torch.device("cpu"), torch.float64)


def crystals(number: int = 5) -> list[Atoms]:
    found = []
    for seed in range(number):
        atoms = bulk("Si", cubic=True) * (1 + seed % 2, 1, 1)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + [[0, 0.03 * seed, 0], [0, 0, 0], [0, 0, 0]]),
                       scale_atoms=True)  # fmt: skip
        atoms.rattle(0.1, seed=seed)
        found.append(atoms)
    return found


@pytest.mark.parametrize("name", ["so3krates-mlearn-si", "est-mlearn-si"])
def test_results_are_those_of_the_calculator(name):
    structures = crystals()
    found = TorchSimModel(name, **EXACT)(state_of(structures))
    calculator = PotentialCalculator(name, **EXACT)
    ends = np.cumsum([len(atoms) for atoms in structures])[:-1]
    forces = np.split(found["forces"].numpy(), ends)
    for index, atoms in enumerate(structures):
        atoms.calc = calculator
        assert float(found["energy"][index]) == pytest.approx(atoms.get_potential_energy())
        np.testing.assert_allclose(forces[index], atoms.get_forces(), atol=1e-10)
        stress = atoms.get_stress(voigt=False)
        np.testing.assert_allclose(found["stress"][index], stress, atol=1e-10)


def test_open_molecules():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    found = TorchSimModel("so3krates-rmd17-ethanol", **EXACT)(state_of([atoms, atoms]))
    atoms.calc = PotentialCalculator("so3krates-rmd17-ethanol", **EXACT)
    np.testing.assert_allclose(found["forces"][len(atoms) :], atoms.get_forces(), atol=1e-10)
    assert torch.isfinite(found["stress"]).all()


def test_torch_sims_own_checks_pass():
    torch.manual_seed(0)
    architecture = build("so3krates", {"num_features": 24, "degrees": (1, 2), "num_heads": 2,
        "num_layers": 1, "avg_num_neighbors": 20.0})  # fmt: skip
    model = TorchSimModel(Potential(architecture, ["Si", "Fe"]), **EXACT)
    torch_sim.models.interface.validate_model_outputs(model, torch.device("cpu"), torch.float64)


def test_relaxation_and_dynamics_in_one_batch():
    model = TorchSimModel("so3krates-mlearn-si", **EXACT)
    structures = crystals(3)
    relaxed = torch_sim.optimize(
        system=structures, model=model, optimizer=torch_sim.frechet_cell_fire, max_steps=40,
    )  # fmt: skip
    before, after = model(state_of(structures)), model(relaxed)
    assert (after["energy"] < before["energy"] - 0.1).all()
    moved = torch_sim.integrate(
        system=structures, model=model, integrator=torch_sim.nvt_langevin,
        n_steps=5, temperature=300.0, timestep=0.001,
    )  # fmt: skip
    assert torch.isfinite(moved.positions).all()
    assert (moved.positions - state_of(structures).positions).abs().max() > 1e-4


def test_an_element_that_the_potential_does_not_know():
    with pytest.raises(ValueError, match="does not know Cu"):
        TorchSimModel("so3krates-mlearn-si", **EXACT)(state_of([bulk("Cu")]))
