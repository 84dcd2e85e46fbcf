"""The shipped potentials, one folder each, installed as ``ase_geomformer_potentials``."""
