"""
Molecular dynamics and its analysis
===================================

A run at constant temperature, its folder, and what its trajectory tells.
"""

# %%
# The settings carry their units in their names. The same names are options of
# ``ase-geomformer md`` and keys of its YAML file.
import tempfile
from pathlib import Path

from ase.build import bulk

from ase_geomformer.md import MDSettings, run_md

folder = Path(tempfile.mkdtemp()) / "silicon"
settings = MDSettings(
    ensemble="nvt-langevin", temperature_K=600.0, timestep_fs=2.0, steps=500,
    equilibration_steps=100, trajectory_interval=2, seed=1,
)  # fmt: skip
crystal = bulk("Si", cubic=True).repeat(2)
result = run_md(crystal, "so3krates-mlearn-si", settings, output=folder, progress=False)
result

# %%
# The folder holds settings, log, trajectory, restart file, figure and result with provenance. A
# second call with ``resume=True`` and more steps would continue it to the last bit.
print(sorted(path.name for path in folder.iterdir()))

# %%
# The radial distribution function and the spectrum of velocities:
from ase_geomformer.md.analysis.frames import load_frames
from ase_geomformer.md.analysis.rdf import radial_distribution
from ase_geomformer.md.analysis.vibrations import velocity_autocorrelation

frames = load_frames(folder)[50:]
radial_distribution(frames).plot()

# %%
spectrum = velocity_autocorrelation(frames)
spectrum.plot()
