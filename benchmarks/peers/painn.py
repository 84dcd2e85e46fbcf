"""SchNetPack's PaiNN, 128 x 3, 5 Å, float32, random weights, by its neural network potential.

Its neighbours are searched by its own transform at each step, as its ASE calculator does.

pip install numpy torch==2.13.0 schnetpack && pip install --no-deps schnetpack==2.1.1
"""

import sys
from importlib.metadata import version

import torch
from _painn import CONVERTER, make_model
from _worker import serve
from ase import Atoms


def prepare(numbers, cell):
    """Energy and forces of positions."""
    atoms = Atoms(numbers, cell=cell, pbc=cell is not None)

    def step(positions):
        atoms.positions = positions
        results = model(CONVERTER(atoms))
        return results["energy"].item(), results["forces"].detach().numpy()

    return step


torch.set_num_threads(int(sys.argv[1]))
model = make_model().eval()
serve(version("schnetpack"), prepare)
