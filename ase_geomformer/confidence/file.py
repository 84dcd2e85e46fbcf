"""Statistics of a potential's training data on disk: ``confidence.safetensors`` in its folder.

Nothing in the file can run code: numbers, and a few words about them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ase_geomformer.confidence.statistics import Confidence
from ase_geomformer.machine.bounded import read_regular_file
from ase_geomformer.machine.files import atomic_file

CONFIDENCE_FILE = "confidence.safetensors"
# The statistics of ten elements with wide layers take 3 MB.
LARGEST_BYTES = 2**26
_TENSORS = ("elements", "means", "whitening", "limits", "min_distances_A", "root")


def write_confidence(folder: Path, confidence: Confidence) -> Path:
    """Write the statistics into a potential's folder, atomically."""
    from safetensors.torch import save

    tensors = {name: torch.as_tensor(getattr(confidence, name)).contiguous() for name in _TENSORS}
    words = {name: getattr(confidence, name) for name in ("sha256", "data")}
    factors = {name: getattr(confidence, name) for name in ("energy_factor", "forces_factor")}
    content = save(tensors, {**words, "factors": json.dumps(factors)})
    with atomic_file(folder / CONFIDENCE_FILE) as temporary:
        temporary.write_bytes(content)
    return folder / CONFIDENCE_FILE


def read_confidence(folder: Path) -> Confidence | None:
    """The statistics in a potential's folder; None if there are none.

    Raises
    ------
    ValueError
        If the file is damaged; the message names it.
    """
    path = folder / CONFIDENCE_FILE
    if not path.exists():
        return None
    from safetensors.torch import load

    try:
        content = read_regular_file(path, LARGEST_BYTES)
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        words = json.loads(content[8 : 8 + size])["__metadata__"]
        return _checked(tensors, words)
    except Exception as error:  # of safetensors, of JSON and of what is missing
        raise ValueError(f"{path} is damaged: {error or type(error).__name__}") from error


def _checked(tensors: dict[str, Tensor], words: dict[str, Any]) -> Confidence:
    """Statistics of the right shapes and without numbers that are none."""
    elements = tensors["elements"]
    kinds, width = len(elements), tensors["root"].shape[-1]
    shapes = {
        "elements": (kinds,), "means": (kinds, width), "whitening": (kinds, width, width),
        "limits": (kinds,), "min_distances_A": (kinds, kinds), "root": (width, width),
    }  # fmt: skip
    for name, shape in shapes.items():
        if tensors[name].shape != shape or bool(torch.isnan(tensors[name]).any()):
            raise ValueError(f"{name} is not {shape} or has NaN")
    if not kinds or not bool(((elements > 0) & (elements < 119)).all()):
        raise ValueError("elements are not atomic numbers")
    factors = {name: float(value) for name, value in json.loads(words["factors"]).items()}
    if not all(np.isfinite(value) and value > 0 for value in factors.values()):
        raise ValueError(f"factors {factors}")
    return Confidence(
        sha256=str(words["sha256"]),
        data=str(words["data"]),
        elements=elements.numpy(),
        means=tensors["means"],
        whitening=tensors["whitening"],
        limits=tensors["limits"],
        min_distances_A=tensors["min_distances_A"],
        root=tensors["root"],
        energy_factor=factors["energy_factor"],
        forces_factor=factors["forces_factor"],
    )
