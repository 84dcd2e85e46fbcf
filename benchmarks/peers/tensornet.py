"""TorchMD-Net's TensorNet, 128 x 2, 5 Å, float32, random weights.

pip install numpy torch==2.13.0 torchmd-net==3.1.0
"""

import sys
from importlib.metadata import version

import torch
from _tensornet import make_model
from _worker import serve


def prepare(numbers, cell):
    """Energy and forces of positions, as the 12-line ASE wrapper of a user would ask for them."""
    z, batch = torch.tensor(numbers), torch.zeros(len(numbers), dtype=torch.long)
    box = None if cell is None else torch.tensor(cell, dtype=torch.float32)

    def step(positions):
        moved = torch.tensor(positions, dtype=torch.float32)
        energy, forces = model(z, moved, batch, box=box)
        return energy.item(), forces.detach().numpy()

    return step


torch.set_num_threads(int(sys.argv[1]))
model = make_model()
serve(version("torchmd-net"), prepare)
