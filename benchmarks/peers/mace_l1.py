"""MACE, 128x0e + 128x1o, two interactions, 5 Å, float32, random weights, by its ASE calculator.

pip install numpy torch==2.13.0 mace-torch==0.3.16
"""

import sys
from importlib.metadata import version

import torch
from _mace import make_model
from _worker import by_calculator, serve
from mace.calculators import MACECalculator

torch.set_num_threads(int(sys.argv[1]))
calculator = MACECalculator(models=[make_model()], device="cpu", default_dtype="float32")
serve(version("mace-torch"), by_calculator(calculator))
