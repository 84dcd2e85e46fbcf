"""Training steps of MACE."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from _mace import make_model
from _steps import by_prediction
from mace import data
from mace.tools import AtomicNumberTable, torch_geometric

NUMBERS = [1, 6, 8]


def prepare(hidden):
    """What prepares the losses of a model with these features."""
    model = make_model(NUMBERS, hidden)

    def predict(given):
        results = model(given, training=True)
        return results["energy"], results["forces"]

    return by_prediction(model, make_input, predict)


def make_input(structures):
    """One graph of many structures."""
    graphs = [
        data.AtomicData.from_config(
            data.config_from_atoms(atoms), z_table=AtomicNumberTable(NUMBERS), cutoff=5.0
        )
        for atoms in structures
    ]
    return torch_geometric.Batch.from_data_list(graphs).to_dict()
