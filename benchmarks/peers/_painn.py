"""SchNetPack's PaiNN, 128 x 3, 5 Å, float32, random weights, and its batches."""

import torch
import torch.utils.data.dataloader as dataloader

if not hasattr(dataloader, "T_co"):  # schnetpack 2.1.1 imports it; torch 2.13 has it no more
    dataloader.T_co = torch.utils.data.dataset._T_co

import schnetpack as spk
from schnetpack.interfaces.ase_interface import AtomsConverter
from schnetpack.transform import MatScipyNeighborList

CONVERTER = AtomsConverter(neighbor_list=MatScipyNeighborList(cutoff=5.0), dtype=torch.float32)


def make_model():
    """The model."""
    torch.manual_seed(0)
    representation = spk.representation.PaiNN(
        n_atom_basis=128,
        n_interactions=3,
        radial_basis=spk.nn.GaussianRBF(n_rbf=20, cutoff=5.0),
        cutoff_fn=spk.nn.CosineCutoff(5.0),
    )
    return spk.model.NeuralNetworkPotential(
        representation=representation,
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[
            spk.atomistic.Atomwise(n_in=128, output_key="energy"),
            spk.atomistic.Forces(),
        ],
    )
