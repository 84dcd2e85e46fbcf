"""MACE as in mace_l1.py and in its environment, compiled by its calculator.

torch.compile works in each process, at its first steps.
"""

import sys
from importlib.metadata import version

import torch
from _mace import make_model
from _worker import by_calculator, serve
from mace.calculators import MACECalculator

torch.set_num_threads(int(sys.argv[1]))
calculator = MACECalculator(
    models=[make_model()], device="cpu", default_dtype="float32", compile_mode="default"
)
serve(version("mace-torch"), by_calculator(calculator))
