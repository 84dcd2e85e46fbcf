"""A relaxation as a job of quacc, which Parsl, Dask, Prefect, Covalent or jobflow can run.

python md_examples/workflows/quacc_relax.py          (needs quacc)
"""

from ase.build import bulk
from quacc import job
from quacc.runners.ase import Runner
from quacc.schemas.ase import Summarize

from ase_geomformer import PotentialCalculator


@job
def relax_job(atoms, potential, **options):
    """Relax a structure and its cell; the potential is named, and loaded where the job runs."""
    calculator = PotentialCalculator(potential, dtype="float64")
    found = Runner(atoms, calculator).run_opt(**options)
    return Summarize(additional_fields={"name": f"relaxed by {potential}"}).opt(found)


summary = relax_job(bulk("Si", a=5.5), "so3krates-mlearn-si", relax_cell=True, fmax=1e-3)
atoms = summary["atoms"]
print(f"volume {atoms.get_volume() / len(atoms):.3f} Å³/atom")
