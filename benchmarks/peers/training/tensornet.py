"""Training steps of TorchMD-Net's TensorNet, 128 x 2, 5 Å; environment of ../tensornet.py.

Its neighbours are searched by the model itself, in each step.
"""

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
import torch
from _steps import by_prediction, serve
from _tensornet import make_model


def make_input(structures):
    """Atomic numbers, positions, and the structure of each atom."""
    sizes = torch.tensor([len(atoms) for atoms in structures])
    return (
        torch.tensor(np.concatenate([atoms.numbers for atoms in structures])),
        torch.tensor(np.concatenate([atoms.positions for atoms in structures])).float(),
        torch.arange(len(structures)).repeat_interleave(sizes),
    )


model = make_model()
serve(version("torchmd-net"), by_prediction(model, make_input, lambda given: model(*given)))
