"""Lattice dynamics: phonons, what follows from them, and their interaction."""
