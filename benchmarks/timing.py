"""Timing in turns, so that what else the machine does meets all that is compared alike."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

Sample = tuple[float, float]


def sample(function: Callable[[], object]) -> Sample:
    """Wall-clock and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - processor


def clocked(action: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What an action gives, and its wall-clock and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    found = action()
    return found, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}


def in_turns(
    timed: Mapping[str, Callable[[], Sample]], rounds: int, in_a_row: int = 1
) -> dict[str, dict[str, float]]:
    """Call all, one after the other, so many times; the smallest and median times of each, ms.

    Waiting for other users of the machine adds to wall-clock time; processor time is what the
    work itself took, on all threads together. A turn is one call, or more ``in_a_row``: what is
    done step by step then finds in the cache what its last step left there.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, call in timed.items():
            samples[name] += [call() for _ in range(in_a_row)]
    return {name: summary(taken) for name, taken in samples.items()}


def summary(samples: list[Sample]) -> dict[str, float]:
    """Smallest and median of both times in milliseconds."""
    wall, processor = ([1e3 * value for value in column] for column in zip(*samples, strict=True))
    return {
        "wall_min_ms": min(wall),
        "wall_median_ms": statistics.median(wall),
        "cpu_min_ms": min(processor),
        "cpu_median_ms": statistics.median(processor),
    }


def machine(*packages: str) -> dict[str, Any]:
    """Where, when and with what figures were taken."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "ase", *packages)},
        },
    }


def processor() -> str:
    """The name of the processor, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return f"{names[0]}, {len(names)} cores"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
