"""
Your own potential in five minutes
==================================

From labelled structures to a potential, its errors, and molecular dynamics with it.
"""

# %%
# 200 frames of ethanol with energies and forces (PBE, from rMD17) lie beside these tutorials, in
# ``examples`` of a checkout, with the settings of a training on 160 of them.
from pathlib import Path

from ase_geomformer.training.settings_file import from_yaml

examples = next(p for p in (Path("examples"), Path("../../examples")) if p.is_dir())
settings = from_yaml(examples / "train_ethanol.yaml")
settings.model

# %%
# The whole training takes four minutes and ends at 37 meV/Å. Here it is cut to 300 steps; leave
# these lines out to have all of it. On the command line it is ``ase-geomformer train
# examples/train_ethanol.yaml --output my_ethanol``.
import tempfile
from dataclasses import replace

from ase_geomformer.training.run import train

settings = replace(
    settings,
    data=replace(settings.data, path=str(examples / "ethanol_200.extxyz")),
    run=replace(settings.run, steps=300, validate_every=100, progress=False),
    optimizer=replace(settings.optimizer, warmup_steps=30),
)
output = Path(tempfile.mkdtemp()) / "my_ethanol"
result = train(settings, output)
print(result.reason)

# %%
# Errors on the 20 frames that were put aside, which the training has not seen.
from ase_geomformer.accuracy.figures import parity

figure = parity(result.evaluation)
figure

# %%
# The folder ``potential`` is the potential: name it by its path.
from ase.io import read

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import MDSettings, run_md

ethanol = read(examples / "structures" / "ethanol.xyz")
calculator = PotentialCalculator(output / "potential")
run = run_md(
    ethanol,
    calculator,
    MDSettings(timestep_fs=0.5, steps=400, temperature_K=300, seed=1),
    progress=False,
)
run

# %%
# Is it good enough for that? ``ase-geomformer selftest`` and a committee tell more; and
# :doc:`learn <10_learn>` gets labels where the potential is still wrong.
