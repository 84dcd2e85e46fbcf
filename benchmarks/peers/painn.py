"""SchNetPack's PaiNN, 128 x 3, 5 Å, float32, random weights, by its neural network potential.

Its neighbours are searched by its own transform at each step, as its ASE calculator does.

pip install numpy torch==2.13.0 schnetpack && pip install --no-deps schnetpack==2.1.1
"""

import sys
from importlib.metadata import version

import torch
import torch.utils.data.dataloader as dataloader

if not hasattr(dataloader, "T_co"):  # schnetpack 2.1.1 imports it; torch 2.13 has it no more
    dataloader.T_co = torch.utils.data.dataset._T_co

import schnetpack as spk
from _worker import serve
from ase import Atoms
from schnetpack.interfaces.ase_interface import AtomsConverter
from schnetpack.transform import MatScipyNeighborList


def prepare(numbers, cell):
    """Energy and forces of positions."""
    atoms = Atoms(numbers, cell=cell, pbc=cell is not None)

    def step(positions):
        atoms.positions = positions
        results = model(converter(atoms))
        return results["energy"].item(), results["forces"].detach().numpy()

    return step


torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
representation = spk.representation.PaiNN(
    n_atom_basis=128,
    n_interactions=3,
    radial_basis=spk.nn.GaussianRBF(n_rbf=20, cutoff=5.0),
    cutoff_fn=spk.nn.CosineCutoff(5.0),
)
model = spk.model.NeuralNetworkPotential(
    representation=representation,
    input_modules=[spk.atomistic.PairwiseDistances()],
    output_modules=[
        spk.atomistic.Atomwise(n_in=128, output_key="energy"),
        spk.atomistic.Forces(),
    ],
).eval()
converter = AtomsConverter(neighbor_list=MatScipyNeighborList(cutoff=5.0), dtype=torch.float32)
serve(version("schnetpack"), prepare)
