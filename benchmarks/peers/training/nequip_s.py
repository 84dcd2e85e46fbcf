"""Training steps of NequIP's preset S, 5 Å; environment of ../nequip_s.py."""

from importlib.metadata import version

from _nequip_steps import SHARED, prepare
from _steps import serve
from nequip.model import PresetNequIPGNNModel

model = PresetNequIPGNNModel(preset="S", r_max=5.0, **SHARED)
serve(version("nequip"), prepare(model, 5.0))
