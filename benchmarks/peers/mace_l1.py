"""MACE, 128x0e + 128x1o, two interactions, 5 Å, float32, random weights, by its ASE calculator.

pip install numpy torch==2.13.0 mace-torch==0.3.16
"""

import sys
from importlib.metadata import version

import mace  # noqa: F401  before e3nn, as it asks for
import numpy as np
import torch
from _worker import by_calculator, serve
from e3nn import o3
from mace import modules
from mace.calculators import MACECalculator

NUMBERS = [1, 6, 8, 14]

torch.set_num_threads(int(sys.argv[1]))
torch.set_default_dtype(torch.float32)
torch.manual_seed(0)
model = modules.ScaleShiftMACE(
    r_max=5.0,
    num_bessel=8,
    num_polynomial_cutoff=5,
    max_ell=3,
    interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
    interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
    num_interactions=2,
    num_elements=len(NUMBERS),
    hidden_irreps=o3.Irreps("128x0e + 128x1o"),
    MLP_irreps=o3.Irreps("16x0e"),
    atomic_energies=np.zeros(len(NUMBERS)),
    avg_num_neighbors=20.0,
    atomic_numbers=NUMBERS,
    correlation=3,
    gate=torch.nn.functional.silu,
    atomic_inter_scale=1.0,
    atomic_inter_shift=0.0,
    radial_MLP=[64, 64, 64],
    radial_type="bessel",
)
calculator = MACECalculator(models=[model], device="cpu", default_dtype="float32")
serve(version("mace-torch"), by_calculator(calculator))
