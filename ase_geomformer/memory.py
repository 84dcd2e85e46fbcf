"""How much memory an evaluation takes, and how much there is for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ase_geomformer.neighbors.problem import total_memory
from ase_geomformer.potential import Potential

# On a CPU more at once leaves the caches: 2**28 took a fifth longer, and 2**24 a quarter longer for
# molecules. On a GPU the other half is left to its other users.
CPU_BUDGET_BYTES = 2**26
CUDA_SHARE_OF_FREE_MEMORY = 0.5


@contextmanager
def kept_for_gradients(potential: Potential) -> Iterator[Callable[[], int]]:
    """Count the bytes that passes through a potential keep for later derivatives.

    Gives the function that tells the count so far; the potential's weights are left out.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in potential.state_dict().values()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield lambda: sum(kept.values())


def budget_bytes(device: torch.device) -> float:
    """Bytes that evaluations on a device may take at once."""
    if device.type == "cuda":
        return CUDA_SHARE_OF_FREE_MEMORY * free_memory(device)
    return float(CPU_BUDGET_BYTES)


def free_memory(device: torch.device) -> float:
    """Bytes that can still be taken on a device; infinite where it cannot be asked."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    report = Path("/proc/meminfo")
    if device.type == "cpu" and report.is_file():
        for line in report.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return total_memory(device)
