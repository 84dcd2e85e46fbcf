"""Memory of devices: total, free, and the budget of an evaluation."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# On a CPU more at once leaves the caches: 2**28 took a fifth longer, and 2**24 a quarter longer for
# molecules. On a GPU the other half is left to its other users.
CPU_BUDGET_BYTES = 2**26
CUDA_SHARE_OF_FREE_MEMORY = 0.5


def budget_bytes(device: torch.device) -> float:
    """Bytes that one evaluation on a device may take."""
    if device.type == "cuda":
        return CUDA_SHARE_OF_FREE_MEMORY * free_memory(device)
    return float(CPU_BUDGET_BYTES)


def free_memory(device: torch.device) -> float:
    """Free memory of a device in bytes; infinite where it is unknown."""
    if device.type == "cuda":
        import torch

        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    return free_host_memory() if device.type == "cpu" else math.inf


def total_memory(device: torch.device) -> float:
    """Total memory of a device in bytes; infinite where it is unknown."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.get_device_properties(device).total_memory)
    return _total_host_memory() if device.type == "cpu" else math.inf


def free_host_memory() -> float:
    """Free main memory in bytes; infinite where it is unknown."""
    report = Path("/proc/meminfo")
    if report.is_file():
        for line in report.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return _total_host_memory()


def _total_host_memory() -> float:
    if "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return math.inf
