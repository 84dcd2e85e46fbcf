"""
Learn: a potential of your own system
=====================================

From a structure and a reference method, without any data.
"""

# %%
# ``learn`` asks a teacher for labels, trains three small potentials on them, and explores with
# these where more labels are needed. The teacher is any ASE calculator: DFT, tblite, or here, to be
# quick, ASE's effective medium theory of copper. With half a minute of time, little is to be
# expected; give it ten for a molecule with GFN2-xTB.
import tempfile
from pathlib import Path

from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer import LearnSettings, learn

copper = bulk("Cu", cubic=True)
output = Path(tempfile.mkdtemp()) / "copper"
settings = LearnSettings(
    minutes=0.5, rounds=2, max_labels=60, explore_fs=100, acceptance_ps=0.2, timestep_fs=2.0
)
result = learn(copper, EMT(), settings, output=output, progress=False)
result

# %%
# It says whether the target was reached, and if not, what was missed and what would help. The
# potential is there in any case, with its card and errors.
from ase_geomformer import PotentialCalculator

copper.calc = PotentialCalculator(output / "potential")
copper.rattle(0.05, seed=1)
own = copper.get_forces()
copper.calc = EMT()
print(f"largest difference from the teacher: {abs(own - copper.get_forces()).max():.3f} eV/Å")
