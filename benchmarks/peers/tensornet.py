"""TorchMD-Net's TensorNet, 128 x 2, 5 Å, float32, random weights.

pip install numpy torch==2.13.0 torchmd-net==3.1.0
"""

import sys
from importlib.metadata import version

import torch
from _worker import serve
from torchmdnet.models.model import create_model

SETTINGS = {
    "model": "tensornet",
    "precision": 32,
    "embedding_dimension": 128,
    "num_layers": 2,
    "num_rbf": 32,
    "rbf_type": "expnorm",
    "trainable_rbf": False,
    "activation": "silu",
    "cutoff_lower": 0.0,
    "cutoff_upper": 5.0,
    "max_z": 100,
    "max_num_neighbors": 64,
    "equivariance_invariance_group": "O(3)",
    "derivative": True,
    "atom_filter": -1,
    "prior_model": None,
    "output_model": "Scalar",
    "reduce_op": "sum",
}


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
torch.manual_seed(0)
model = create_model(SETTINGS)
serve(version("torchmd-net"), prepare)
