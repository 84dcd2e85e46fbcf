"""Energies of surfaces: from a crystal and Miller indices to J/m^2."""
