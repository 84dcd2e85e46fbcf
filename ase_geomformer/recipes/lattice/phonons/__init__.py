"""Phonons of crystals: bands, densities of states, thermodynamics."""
