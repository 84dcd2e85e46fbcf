"""NequIP's preset S trained on one molecule of rMD17, for as many frames as ours have seen.

What a faster peer's speed is worth depends on the error it reaches. Split 1, 950 frames to learn
from and 50 to choose by; L1 losses as in our trainings, Adam with a cosine schedule, averaged
weights. In the environment of ``nequip_s.py``, from the root of a checkout with the data beside it:

    ~/peers/nequip_s/bin/python benchmarks/peers/_train_nequip_s.py aspirin
"""

import copy
import json
import sys
import time
from argparse import ArgumentParser

import numpy as np
import torch
from ase import Atoms
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import PresetNequIPGNNModel
from nequip.utils.global_state import set_global_state

CUTOFF_A = 5.0
EV_PER_KCAL_PER_MOL = 0.0433641039
AVERAGING = 0.999


def main():
    """Train, then print the errors on the test frames as JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("molecule")
    parser.add_argument("--data", default="../shared/data/rmd17")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--learning_rate", type=float, default=5e-3)
    parser.add_argument("--preset", default="S")
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_global_state()
    frames = read(f"{options.data}/rmd17_{options.molecule}.npz")
    symbols = sorted(set(frames["symbols"]))
    train, chosen, test = (
        as_batches(frames, part, symbols) for part in ("train", "choose", "test")
    )
    model = make(options.preset, symbols, frames, train)
    averaged = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, amsgrad=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    rng, start = np.random.default_rng(0), time.process_time()
    order = []
    for step in range(1, options.steps + 1):
        if len(order) < options.batch:
            order = rng.permutation(len(train)).tolist()
        batch = AtomicDataDict.batched_from_list([train[order.pop()] for _ in range(options.batch)])
        energy, forces = errors(model, batch)
        (forces.mean() + 0.2 * energy.mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        with torch.no_grad():
            for mean, now in zip(averaged.parameters(), model.parameters(), strict=True):
                mean.lerp_(now, 1.0 - min(AVERAGING, step / (10.0 + step)))
        if step % 1000 == 0 or step == 10:
            print(
                step,
                maes(averaged, chosen),
                f"{time.process_time() - start:.0f} s",
                file=sys.stderr,
            )
    found = {**vars(options), "cpu_s": time.process_time() - start, **maes(averaged, test)}
    print(json.dumps(found))


def read(path):
    """Frames of split 1, in eV and Å."""
    data = np.load(path)
    first = data["split_train"] == 1
    units = {"R": 1.0, "E": EV_PER_KCAL_PER_MOL, "F": EV_PER_KCAL_PER_MOL}
    known = {key: units[key] * data[f"{key}_train"][first] for key in "REF"}
    last = data["split_test"] == 1
    test = {key: units[key] * data[f"{key}_test"][last] for key in "REF"}
    parts = {
        "train": {key: values[:950] for key, values in known.items()},
        "choose": {key: values[950:] for key, values in known.items()},
        "test": test,
    }
    return {"symbols": Atoms(data["z"]).get_chemical_symbols(), "numbers": data["z"], **parts}


def as_batches(frames, part, symbols):
    """Frames of a part as NequIP's dictionaries, with neighbours and labels."""
    transforms = [ChemicalSpeciesToAtomTypeMapper(symbols), NeighborListTransform(r_max=CUTOFF_A)]
    found = []
    for positions, energy, forces in zip(*(frames[part][key] for key in "REF"), strict=True):
        item = from_ase(Atoms(frames["numbers"], positions))
        for transform in transforms:
            item = transform(item)
        item["total_energy"] = torch.tensor([[float(energy)]], dtype=torch.float64)
        item["forces"] = torch.tensor(forces, dtype=torch.float64)
        found.append(item)
    return found


def make(preset, symbols, frames, train):
    """The model, scaled by the forces and shifted by the mean energy of the training frames."""
    energies, forces = np.squeeze(frames["train"]["E"]), frames["train"]["F"]
    neighbours = np.mean([item["edge_index"].shape[1] / len(item["pos"]) for item in train])
    return PresetNequIPGNNModel(
        preset=preset,
        seed=0,
        model_dtype="float32",
        type_names=symbols,
        r_max=CUTOFF_A,
        avg_num_neighbors=float(neighbours),
        per_type_energy_scales=float(np.sqrt(np.mean(forces**2))),
        per_type_energy_shifts=float(energies.mean() / len(frames["numbers"])),
    )


def errors(model, batch):
    """Absolute errors of energies per atom and of forces."""
    energy, forces = batch.pop("total_energy"), batch.pop("forces")
    atoms = torch.bincount(batch["batch"])
    out = model(batch)
    per_atom = (out["total_energy"] - energy).squeeze(-1) / atoms
    return per_atom.abs(), (out["forces"] - forces).abs()


def maes(model, items):
    """Mean absolute errors on frames: energies of whole structures (meV) and forces (meV/Å)."""
    energies, forces = [], []
    for first in range(0, len(items), 50):
        energy, force = errors(model, AtomicDataDict.batched_from_list(items[first : first + 50]))
        energies.append(energy.detach() * len(items[0]["pos"]))
        forces.append(force.detach())
    return {
        "energy_mae_meV": 1e3 * torch.cat(energies).mean().item(),
        "forces_mae_meV_per_A": 1e3 * torch.cat(forces).mean().item(),
    }


if __name__ == "__main__":
    main()
