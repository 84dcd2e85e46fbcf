"""Settings of GeoMFormer, under the name that scripts have imported them from."""

from ase_geomformer.architectures.geomformer.settings import SIZES, GeoMFormerSettings

__all__ = ["SIZES", "GeoMFormerSettings"]
