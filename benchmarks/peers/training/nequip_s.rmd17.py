"""Training steps of NequIP as published for rMD17; environment of ../nequip_s.py.

Five layers of 64 features of both parities up to degree 3, 4 Å:
github.com/mir-group/nequip-input-files, revmd17/revmd17-ethanol-n950-l3.yaml. Elements enter by
three numbers, as many as the one-hot vectors that it had.
"""

from importlib.metadata import version

from _nequip_steps import SHARED, prepare
from _steps import serve
from nequip.model import NequIPGNNModel

model = NequIPGNNModel(
    r_max=4.0,
    num_layers=5,
    l_max=3,
    parity=True,
    num_features=64,
    radial_mlp_depth=3,
    radial_mlp_width=64,
    type_embed_num_features=3,
    **SHARED,
)
serve(version("nequip"), prepare(model, 4.0))
