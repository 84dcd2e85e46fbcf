"""Training steps of MACE, 128x0e + 128x1o, two interactions, 5 Å; environment of ../mace_l1.py."""

from importlib.metadata import version

from _mace_steps import prepare
from _steps import serve

serve(version("mace-torch"), prepare("128x0e + 128x1o"))
