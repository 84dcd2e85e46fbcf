"""TorchMD-Net's TensorNet, 128 x 2, 5 Å, float32, random weights."""

import torch
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


def make_model():
    """The model."""
    torch.manual_seed(0)
    return create_model(SETTINGS)
