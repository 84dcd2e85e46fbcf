"""An energy in AiiDA's graph of provenance, in a profile that is kept in memory.

python md_examples/workflows/aiida_energy.py          (needs aiida-core)

In a profile of your own, leave the first four lines out.
"""

from aiida import load_profile, orm
from aiida.engine import calcfunction
from aiida.storage.sqlite_temp import SqliteTempBackend
from ase.build import bulk

load_profile(SqliteTempBackend.create_profile("in-memory"), allow_switch=True)


@calcfunction
def energy(structure: orm.StructureData, potential: orm.Str) -> orm.Dict:
    """Energy in eV, and which potential it is from, by checksum."""
    from ase_geomformer import PotentialCalculator, load_potential

    atoms = structure.get_ase()
    atoms.calc = PotentialCalculator(potential.value)
    found = {"energy_eV": atoms.get_potential_energy()}
    return orm.Dict({**found, "sha256": load_potential(potential.value).card.sha256})


result = energy(orm.StructureData(ase=bulk("Si", a=5.43)), orm.Str("so3krates-mlearn-si"))
print(f"energy {result['energy_eV']:.3f} eV, by the calculation {result.creator.uuid[:8]}")
