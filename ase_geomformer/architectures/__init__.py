"""The architectures and their registry."""

from __future__ import annotations

from ase_geomformer.architectures.base import Architecture, build
from ase_geomformer.architectures.est.model import Est, EstSettings
from ase_geomformer.architectures.geomformer.model import GeoMFormer
from ase_geomformer.architectures.geomformer.settings import GeoMFormerSettings
from ase_geomformer.architectures.so3krates.dense import So3kratesDense, So3kratesDenseSettings
from ase_geomformer.architectures.so3krates.neurips_2022 import So3krates2022, So3krates2022Settings
from ase_geomformer.architectures.so3krates.sparse import So3krates, So3kratesSettings

__all__ = [
    "Architecture",
    "Est",
    "EstSettings",
    "GeoMFormer",
    "GeoMFormerSettings",
    "So3krates",
    "So3krates2022",
    "So3krates2022Settings",
    "So3kratesDense",
    "So3kratesDenseSettings",
    "So3kratesSettings",
    "build",
]
