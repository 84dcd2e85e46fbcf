"""One picosecond of ethanol at 300 K with the potential that comes with ase-geomformer.

python md_examples/ethanol_nvt.py --compile

With --compile the potential is compiled for this machine, once, in a minute or two; from then on
every run finds the code. The speed without it is measured beside.
"""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ase.build import molecule

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import MDSettings, run_md

parser = ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2000, help="time steps of 0.5 fs")
parser.add_argument("--output", default=Path(__file__).with_name("ethanol_nvt_output"))
parser.add_argument("--compile", action="store_true", help="evaluate by compiled code")
options = parser.parse_args()

settings = MDSettings(
    ensemble="nvt-langevin",
    temperature_K=300,
    timestep_fs=0.5,
    steps=options.steps,
    seed=1,
    equilibration_steps=options.steps // 50 * 10,  # the first fifth warms the molecule up
)
potential = "so3krates-rmd17-ethanol"
calculator = PotentialCalculator(potential, compile=options.compile or "auto")
calculator.prepared.ready()  # compiles now, so that the time of the run is that of its steps
result = run_md(molecule("CH3CH2OH"), calculator, settings, output=options.output, overwrite=True)
speed = result.steps / result.wall_time
if calculator.prepared.is_compiled:
    with TemporaryDirectory() as folder:  # a run that writes as much
        plain = run_md(
            molecule("CH3CH2OH"),
            PotentialCalculator(potential, compile=False),
            replace(settings, steps=400, equilibration_steps=0),
            output=folder,
            overwrite=True,
            progress=False,
        )
    times = speed * plain.wall_time / plain.steps
    print(f"{speed:.0f} steps/s, {times:.1f} times as many as without compiled code")
else:
    print(f"{speed:.0f} steps/s; several times as many with --compile")
print(f"mean temperature {result.averages['temperature_K'].mean:.0f} K")
print(f"look at {result.output / 'md.png'}, or: ase gui {result.output / 'trajectory.traj'}")
