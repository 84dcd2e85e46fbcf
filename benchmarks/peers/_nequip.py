"""NequIP's preset S, 5 Å, float32, random weights, and its ASE calculator."""

from nequip.ase import NequIPCalculator
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import PresetNequIPGNNModel
from nequip.utils.global_state import set_global_state

SYMBOLS = ["H", "C", "O", "Mg", "Si", "Cu"]


def make_model():
    """The model, ready to be evaluated."""
    set_global_state()
    return PresetNequIPGNNModel(
        preset="S",
        seed=0,
        model_dtype="float32",
        type_names=SYMBOLS,
        r_max=5.0,
        avg_num_neighbors=20.0,
        per_type_energy_scales=1.0,
        per_type_energy_shifts=0.0,
    ).eval()


def make_calculator(model):
    """Its calculator, nothing compiled."""
    return NequIPCalculator(
        model,
        device="cpu",
        transforms=[ChemicalSpeciesToAtomTypeMapper(SYMBOLS), NeighborListTransform(r_max=5.0)],
    )
