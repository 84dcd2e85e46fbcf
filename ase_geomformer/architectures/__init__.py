"""The architectures and their registry: a name and settings in, a module out."""

from __future__ import annotations

from ase_geomformer.architectures.base import Architecture, build
from ase_geomformer.architectures.est import Est, EstSettings
from ase_geomformer.architectures.geomformer import GeoMFormer
from ase_geomformer.architectures.geomformer_settings import GeoMFormerSettings
from ase_geomformer.architectures.so3krates import So3krates, So3kratesSettings
from ase_geomformer.architectures.so3krates_2022 import So3krates2022, So3krates2022Settings
from ase_geomformer.architectures.so3krates_dense import So3kratesDense, So3kratesDenseSettings

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
