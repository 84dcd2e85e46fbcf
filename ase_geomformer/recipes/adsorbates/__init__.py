"""Adsorption of a molecule on a slab: sites, structures and energies."""
