from __future__ import annotations

from typing import Any, ClassVar

from .suite import ArchitectureSuite

SMALL = {
    "cutoff": 3.8,
    "num_channels": 8,
    "num_layers": 2,
    "num_heads": 2,
    "num_radial_basis": 8,
    "radial_width": 8,
    "steerable_width": 8,
    "spherical_width": 8,
    "energy_width": 8,
    "avg_num_neighbors": 8.0,
}


class TestEst(ArchitectureSuite):
    name = "est"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "both": {**SMALL},
        "steerable": {**SMALL, "branches": "steerable"},
    }
