"""SevenNet in the size of SevenNet-0 (lmax 2, five layers), 5 Å, float32, random weights.

Through its ASE calculator.

pip install numpy torch==2.13.0 sevenn==0.13.0
"""

import copy
import sys
from importlib.metadata import version

import torch
from _worker import by_calculator, serve
from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG
from sevenn.calculator import SevenNetCalculator
from sevenn.model_build import build_E3_equivariant_model

NUMBERS = [1, 6, 8, 14]

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
settings = copy.deepcopy(DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG)
settings.update(
    {
        "cutoff": 5.0,
        "channel": 128,
        "lmax": 2,
        "is_parity": False,
        "num_convolution_layer": 5,
        "irreps_manual": ["128x0e", *4 * ["128x0e+64x1e+32x2e"], "128x0e"],
        "self_connection_type": "linear",
        "num_species": len(NUMBERS),
        "_number_of_species": len(NUMBERS),
        "_type_map": {number: index for index, number in enumerate(NUMBERS)},
        "shift": 0.0,
        "scale": 1.0,
        "conv_denominator": 20.0,
    }
)
model = build_E3_equivariant_model(settings)
calculator = SevenNetCalculator(model, file_type="model_instance", device="cpu")
serve(version("sevenn"), by_calculator(calculator))
