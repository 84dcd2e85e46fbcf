"""MACE, two interactions, 5 Å, float32, random weights; 128x0e + 128x1o unless told otherwise."""

import mace  # noqa: F401  before e3nn, as it asks for
import numpy as np
import torch
from e3nn import o3
from mace import modules

NUMBERS = [1, 6, 8, 14]


def make_model(numbers=NUMBERS, hidden="128x0e + 128x1o"):
    """The model for these elements, with these features between its interactions."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    return modules.ScaleShiftMACE(
        r_max=5.0,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=20.0,
        atomic_numbers=numbers,
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
        radial_MLP=[64, 64, 64],
        radial_type="bessel",
    )
