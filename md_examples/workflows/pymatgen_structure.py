"""A structure of pymatgen, relaxed, with its elastic constants, and back again.

python md_examples/workflows/pymatgen_structure.py          (needs pymatgen)
"""

from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ase_geomformer.recipes import RelaxSettings, elastic, relax

POTENTIAL = "so3krates-mlearn-si"

silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.5), ["Si"], [[0, 0, 0]])
primitive = silicon.get_primitive_structure()
found = relax(primitive, POTENTIAL, RelaxSettings(cell="full", fmax=1e-3), progress=False)
relaxed = AseAtomsAdaptor.get_structure(found.atoms)
tensor = elastic(relaxed, POTENTIAL, progress=False)
print(f"volume {relaxed.volume / len(relaxed):.3f} Å³/atom")
print(f"bulk modulus {tensor.moduli.bulk_hill_GPa:.1f} GPa")
