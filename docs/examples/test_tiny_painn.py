from tiny_painn import TinyPaiNN

from ase_geomformer.testing import ArchitectureSuite


class TestTinyPaiNN(ArchitectureSuite):
    name = TinyPaiNN.name
    variants = {"small": {"cutoff": 3.8, "num_features": 16, "num_radial_basis": 8}}
