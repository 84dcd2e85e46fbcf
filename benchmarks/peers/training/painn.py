"""Training steps of SchNetPack's PaiNN, 128 x 3, 5 Å; environment of ../painn.py."""

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from _painn import CONVERTER, make_model
from _steps import by_prediction, serve


def predict(given):
    """Energies and forces."""
    results = model(dict(given))
    return results["energy"], results["forces"]


model = make_model()
serve(version("schnetpack"), by_prediction(model, CONVERTER, predict))
