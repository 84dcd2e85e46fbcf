"""A relaxation by atomate2, whose documents go into a database of the Materials Project's form.

python md_examples/workflows/atomate2_relax.py          (needs atomate2)
"""

from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.5), ["Si"], [[0, 0, 0]])
maker = ForceFieldRelaxMaker(
    force_field_name={"@module": "ase_geomformer.calculator", "@callable": "PotentialCalculator"},
    calculator_kwargs={"potential": "so3krates-mlearn-si", "dtype": "float64"},
    relax_kwargs={"fmax": 1e-3},
)
job = maker.make(silicon.get_primitive_structure())
document = run_locally(job, ensure_success=True, log=False)[job.uuid][1].output
print(f"volume {document.structure.volume / len(document.structure):.3f} Å³/atom")
