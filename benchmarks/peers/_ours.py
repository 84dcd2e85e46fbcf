"""One of our potentials, by its name, in a process of its own like a peer's.

    python _ours.py THREADS POTENTIAL

Compiled code is used where it is there.
"""

import sys
from importlib.metadata import version

import torch
from _worker import by_calculator, serve

from ase_geomformer import PotentialCalculator

torch.set_num_threads(int(sys.argv[1]))
calculator = PotentialCalculator(sys.argv[2], device="cpu", dtype="float32", long_range="published")
serve(version("ase-geomformer"), by_calculator(calculator))
