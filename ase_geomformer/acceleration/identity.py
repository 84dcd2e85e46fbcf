"""What numbers depend on, as keys of the cache."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from functools import lru_cache
from pathlib import Path

import torch

from ase_geomformer.layers.spline import SplineGrid
from ase_geomformer.potential import Potential

PACKAGE = Path(__file__).resolve().parents[1]
# Parts of the package that turn a graph into numbers, relative to it.
SOURCES = ("acceleration", "architectures", "graph", "layers", "physics", "potential.py")


def fingerprint(*parts: object) -> str:
    """A key of plain values: sha256 of their JSON, 32 hexadecimal digits of it."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def of_potential(potential: Potential) -> str:
    """Of weights and settings, whatever the potential is called and wherever it comes from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(potential.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().data)
    architecture = potential.architecture
    return fingerprint(
        digest.hexdigest(),
        architecture.name,
        architecture.settings_dict(),
        potential.elements,
        potential.reference_energies,
        potential.energy_scale,
        potential.terms_settings,
    )


def of_tables(potential: Potential) -> int | None:
    """Intervals of a potential's radial tables, which weights decide else; None without."""
    basis = getattr(potential.architecture, "radial_basis", None)
    return basis.num_intervals if isinstance(basis, SplineGrid) else None


@lru_cache(maxsize=1)
def of_machine() -> tuple[str, str]:
    """Of what compiled code runs on: torch with the system, and the CPU with its instructions."""
    cpu = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        text = described.read_text(encoding="utf-8", errors="replace")
        found = [re.search(rf"^{key}\s*:\s*(.*)$", text, re.M) for key in ("model name", "flags")]
        cpu = " ".join(match[1] for match in found if match) or cpu
    return f"torch {torch.__version__} {platform.system()} {platform.machine()}", cpu


def source_files() -> list[Path]:
    """The files of the package that numbers depend on."""
    files: set[Path] = set()
    for name in SOURCES:
        place = PACKAGE / name
        files |= {place} if place.is_file() else {*place.rglob("*.py"), *place.rglob("*.h")}
    return sorted(files)


@lru_cache(maxsize=1)
def of_sources() -> str:
    """Of the package's own code as far as numbers depend on it."""
    digest = hashlib.sha256()
    for file in source_files():
        digest.update(f"{file.relative_to(PACKAGE)} ".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
