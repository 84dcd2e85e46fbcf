from __future__ import annotations

from typing import Any, ClassVar

from .suite import ArchitectureSuite

SMALL = {
    "cutoff": 3.8,
    "num_features": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "num_radial_basis": 8,
    "energy_width": 8,
}


class TestGeoMFormer(ArchitectureSuite):
    name = "geomformer"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        # As shipped, in small.
        "standard": SMALL,
        # As published for MatterSim-MT: no geometry in the layers but for the smooth mask.
        "bare": {
            **SMALL,
            "layout": "alternating",
            "distance_bias": False,
            "edge_values": False,
            "directional_messages": False,
        },
    }
