"""What every process does that trains: take batches, then time steps; see ../../training_peers.py.

Runs in the peer's environment and imports nothing of ours.
"""

import json
import sys
import time

import numpy as np
import torch

# Of our settings for rMD17: what energy (per atom) and forces weigh in the loss.
ENERGY, FORCES = 0.2, 1.0


def serve(version, prepare):
    """Answer on standard output.

    ``prepare(question)`` gives the trainable tensors, and for each batch a function that evaluates
    its loss. Forces of the loss are differentiated again to all weights; the optimizer is AdamW.
    """
    torch.set_num_threads(1)
    print(json.dumps({"version": version}), flush=True)
    weights, losses = prepare(json.loads(sys.stdin.readline()))
    weights = [weight for weight in weights if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    done = 0

    def step():
        nonlocal done
        optimizer.zero_grad()
        loss = losses[done % len(losses)]()
        loss.backward()
        optimizer.step()
        done += 1
        return loss.item()

    first = timed(step)
    trained = [weight for weight in weights if weight.grad is not None]
    print(json.dumps({"weights": sum(one.numel() for one in trained), "first": first}), flush=True)
    for line in sys.stdin:
        print(json.dumps([timed(step) for _ in range(json.loads(line))]), flush=True)


def timed(step):
    """Seconds of a step, and its loss."""
    wall, cpu = time.perf_counter(), time.process_time()
    loss = step()
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "loss": loss,
    }


def by_prediction(model, make_input, predict):
    """What prepares the losses of a peer.

    ``make_input(list of ASE atoms)`` prepares what ``predict`` makes energies (B,) and forces
    (N, 3) from; it is not timed, as a training does it beforehand or beside.
    """
    from ase import Atoms

    def prepare(question):
        return model.parameters(), [
            loss_of(batch, question["numbers"]) for batch in question["batches"]
        ]

    def loss_of(batch, numbers):
        given = make_input([Atoms(numbers, positions) for positions in batch["positions"]])
        energies = torch.tensor(batch["energies"], dtype=torch.float32)
        forces = torch.tensor(np.concatenate(batch["forces"]), dtype=torch.float32)

        def loss():
            energy, force = predict(given)
            error = (energy.flatten() - energies).abs().mean() / len(numbers)
            return ENERGY * error + FORCES * (force - forces).abs().mean()

        return loss

    model.train()
    return prepare
