"""Lattice thermal conductivity."""
