"""SO3LR in the PyTorch port of So3krates, float32, trained weights, by its ASE calculator.

Long-range terms reach 12 Å, as published. It knows the elements of
organic molecules and water: for silicon, leave its environment out of the folder.

pip install torch==2.13.0 so3krates-torch==0.2.1
"""

import contextlib
import sys
from importlib.metadata import version

import torch
from _worker import by_calculator, serve
from so3krates_torch.calculator.so3 import SO3LRCalculator

torch.set_num_threads(int(sys.argv[1]))
with contextlib.redirect_stdout(sys.stderr):  # it prints; standard output is for answers
    calculator = SO3LRCalculator(r_max_lr=12.0, default_dtype="float32")
serve(version("so3krates-torch"), by_calculator(calculator))
