"""Settings of a small network of this architecture, quick to test."""

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
