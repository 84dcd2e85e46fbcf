"""Two jobs of jobflow: a relaxation, and the vibrations of what it gives.

python md_examples/workflows/jobflow_relax_and_vibrate.py          (needs jobflow)

Jobs hold names, not calculators, so that they can be sent to other machines.
"""

from ase.build import molecule
from ase.io.jsonio import decode, encode
from jobflow import Flow, job, run_locally

from ase_geomformer.recipes import RelaxSettings, relax, vibrations

POTENTIAL = "so3krates-rmd17-ethanol"


@job
def relaxed(structure: str, potential: str) -> str:
    """A structure as ASE's JSON, relaxed."""
    settings = RelaxSettings(fmax=1e-3)
    return encode(relax(decode(structure), potential, settings, progress=False).atoms)


@job
def frequencies(structure: str, potential: str) -> list[float]:
    """Frequencies in 1/cm of a structure that is relaxed."""
    found = vibrations(decode(structure), potential, progress=False)
    return found.modes.frequencies_per_cm.tolist()


first = relaxed(encode(molecule("CH3CH2OH")), POTENTIAL)
second = frequencies(first.output, POTENTIAL)
outputs = run_locally(Flow([first, second]), ensure_success=True, log=False)
print(f"O-H stretch {outputs[second.uuid][1].output[-1]:.0f} 1/cm")
