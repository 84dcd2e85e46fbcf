"""NequIP's preset S, 5 Å, float32, random weights, through its ASE calculator.

pip install numpy torch==2.13.0 nequip==0.19.1 ase==3.29.0
"""

import sys
from importlib.metadata import version

import torch
from _nequip import make_calculator, make_model
from _worker import by_calculator, serve

torch.set_num_threads(int(sys.argv[1]))
serve(version("nequip"), by_calculator(make_calculator(make_model())))
