"""Settings of a small network of this architecture, quick to test."""

SMALL = {
    "cutoff": 3.8,
    "num_features": 16,
    "num_layers": 2,
    "num_heads": 2,
    "num_radial_basis": 8,
    "energy_width": 8,
}
