"""Cohesive energies of crystals and molecules."""
