"""Training steps of MACE of 256 channels, two interactions, 5 Å; environment of ../mace_l1.py.

The channels are those that others report of its trainings on rMD17; features up to degree 2 are our
choice, as the settings of Batatia et al., arXiv:2206.07697, were not at hand.
"""

from importlib.metadata import version

from _mace_steps import prepare
from _steps import serve

serve(version("mace-torch"), prepare("256x0e + 256x1o + 256x2e"))
