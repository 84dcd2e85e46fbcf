"""Training steps of NequIP."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from _steps import by_prediction
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.utils.global_state import set_global_state

set_global_state()
SYMBOLS = ["H", "C", "O"]
# Of every model; speed does not depend on the last three.
SHARED = {
    "seed": 0,
    "model_dtype": "float32",
    "type_names": SYMBOLS,
    "avg_num_neighbors": 8.0,
    "per_type_energy_scales": 1.0,
    "per_type_energy_shifts": 0.0,
}


def prepare(model, cutoff):
    """What prepares the losses of a model."""
    transforms = [ChemicalSpeciesToAtomTypeMapper(SYMBOLS), NeighborListTransform(r_max=cutoff)]

    def make_input(structures):
        graphs = []
        for atoms in structures:
            graph = from_ase(atoms)
            for transform in transforms:
                graph = transform(graph)
            graphs.append(graph)
        return AtomicDataDict.batched_from_list(graphs)

    def predict(given):
        results = model(dict(given))
        return results["total_energy"], results["forces"]

    return by_prediction(model, make_input, predict)
