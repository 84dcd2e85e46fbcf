"""A potential on disk: its card, its weights, and their consistency.

The public names are loaded on first use: reading cards needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase_geomformer.checkpoint.card import (
        CARD_FILE,
        WEIGHTS_FILE,
        Card,
        CheckpointError,
        DataSource,
        GoldenVector,
        read_card,
    )
    from ase_geomformer.checkpoint.folder import (
        golden_vectors,
        load_folder,
        save_potential,
        verify,
    )

__all__ = [
    "CARD_FILE",
    "WEIGHTS_FILE",
    "Card",
    "CheckpointError",
    "DataSource",
    "GoldenVector",
    "golden_vectors",
    "load_folder",
    "read_card",
    "save_potential",
    "verify",
]

_IN_FOLDER = {"golden_vectors", "load_folder", "save_potential", "verify"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "folder" if name in _IN_FOLDER else "card"
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
