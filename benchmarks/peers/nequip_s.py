"""NequIP's preset S, 5 Å, float32, random weights, through its ASE calculator.

pip install numpy torch==2.13.0 nequip==0.19.1 ase==3.29.0
"""

import sys
from importlib.metadata import version

import torch
from _worker import by_calculator, serve
from nequip.ase import NequIPCalculator
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import PresetNequIPGNNModel
from nequip.utils.global_state import set_global_state

SYMBOLS = ["H", "C", "O", "Mg", "Si", "Cu"]

torch.set_num_threads(int(sys.argv[1]))
set_global_state()
model = PresetNequIPGNNModel(
    preset="S",
    seed=0,
    model_dtype="float32",
    type_names=SYMBOLS,
    r_max=5.0,
    avg_num_neighbors=20.0,
    per_type_energy_scales=1.0,
    per_type_energy_shifts=0.0,
).eval()
calculator = NequIPCalculator(
    model,
    device="cpu",
    transforms=[ChemicalSpeciesToAtomTypeMapper(SYMBOLS), NeighborListTransform(r_max=5.0)],
)
serve(version("nequip"), by_calculator(calculator))
