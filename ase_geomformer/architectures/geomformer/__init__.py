"""GeoMFormer: an invariant and an equivariant stream joined by cross-attention."""
