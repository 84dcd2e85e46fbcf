"""Input of i-PI for path-integral molecular dynamics with a potential.

i-PI loads the driver, :mod:`ase_geomformer.engines.ipi.driver`, into its own process and hands it
all replicas of a step together. Numbers are in atomic units, in ASE's constants, so that nothing
depends on those of i-PI, some of which have eight digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from ase import Atoms, units
from ase.io import write

from ase_geomformer.engines.ipi.settings import PathIntegralSettings
from ase_geomformer.machine.files import atomic_file, write_text

STRUCTURE_FILE, INPUT_FILE = "structure.traj", "input.xml"
# ASE's units in Hartree atomic units.
ENERGY, LENGTH = 1.0 / units.Hartree, 1.0 / units.Bohr
TIME_FS = 1e-15 * units.Hartree * units._e / units._hbar
MASS = units._amu / units._me
# Bohr; the cell that i-PI needs of structures without one.
_OPEN_CELL = 2000.0
# In i-PI's lists of parameters.
_SPECIAL = ",:{}[]"
_DRIVER = "ase_geomformer.engines.ipi.driver"


def forcefield(
    structure: Path | None,
    potential: str | None,
    batch_size: int,
    *,
    dtype: str = "float64",
    threaded: bool = True,
) -> str:
    """The ``<ffdirect>`` of an input of i-PI, called ``potential``.

    Parameters
    ----------
    structure : Path, optional
        File with the atoms in i-PI's order, their boundaries, charge and spin. Left out with the
        potential where the process has an evaluator for the driver.
    potential : str, optional
        Name or path.
    batch_size : int
        Replicas that are evaluated together.
    dtype : str
    threaded : bool
        Without a thread, i-PI waits for ever if a step's evaluations do not fill the last batch.

    Raises
    ------
    ValueError
        If a name or path has a character in it that i-PI gives a meaning.
    """
    found = find_spec(_DRIVER)
    path = found.origin if found else None
    parameters = {}
    if structure is not None and potential is not None:
        parameters = {"potential": potential, "structure": str(structure.resolve()), "dtype": dtype}
    for name, value in parameters.items():
        if set(value) & set(_SPECIAL):
            raise ValueError(
                f"the {name} {value!r} has one of the characters {_SPECIAL} in it, which i-PI "
                "cannot read; use another folder"
            )
    listed = ", ".join(f"{name}: {value}" for name, value in parameters.items())
    return f"""<ffdirect name='potential' pbc='False' threaded='{threaded}'>
    <pes> custom </pes>
    <pes_path> {escape(str(path))} </pes_path>
    <batch_size> {batch_size} </batch_size>
    <latency> 1e-4 </latency>
    <parameters> {{ {escape(listed)} }} </parameters>
  </ffdirect>"""


def turned(atoms: Atoms) -> Atoms:
    """The atoms in the orientation of i-PI: a along x, b in the plane of x and y."""
    atoms = atoms.copy()
    atoms.set_constraint()
    if atoms.pbc.any():
        atoms.set_cell(atoms.cell.complete())
        cell, _ = atoms.cell.standard_form()
        atoms.set_cell(cell, scale_atoms=True)
    return atoms


def write_input(
    folder: Path,
    atoms: Atoms,
    potential: str,
    settings: PathIntegralSettings | None = None,
    *,
    dtype: str = "float64",
) -> Path:
    """Write ``input.xml`` and the structure; ``i-pi input.xml`` in the folder runs them.

    i-PI leaves ``pimd.out`` (properties), ``pimd.xc.xyz`` (centroids) and ``RESTART``, from which
    ``i-pi RESTART`` continues. The thermostat acts in all steps, with rpmd in those of
    equilibration, to which the input is limited then.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    atoms : ase.Atoms
    potential : str
        Name or path.
    settings : PathIntegralSettings, optional
    dtype : str

    Returns
    -------
    Path
        Of ``input.xml``.
    """
    settings = settings or PathIntegralSettings()
    folder.mkdir(parents=True, exist_ok=True)
    atoms = turned(atoms)
    with atomic_file(folder / STRUCTURE_FILE) as temporary:
        write(temporary, atoms, format="traj")
    field = forcefield(folder / STRUCTURE_FILE, potential, settings.beads, dtype=dtype)
    steps = settings.equilibration_steps if settings.method == "rpmd" else settings.steps
    path = folder / INPUT_FILE
    write_text(path, simulation(atoms, settings, field, steps=steps, outputs=_outputs(settings)))
    return path


def simulation(
    atoms: Atoms,
    settings: PathIntegralSettings,
    field: str,
    *,
    steps: int,
    thermostat: bool = True,
    outputs: str = "<output/>",
) -> str:
    """A ``<simulation>`` of atoms in the orientation of i-PI."""
    temperature = units.kB * settings.temperature_K * ENERGY
    cell = np.eye(3) * _OPEN_CELL
    if atoms.pbc.any():
        cell = atoms.cell.array.T * LENGTH
    count = settings.beads
    mode = "nve"
    bath = ""
    if thermostat:
        mode = "nvt"
        time = settings.thermostat_time_fs * TIME_FS
        bath = f"<thermostat mode='pile_g'> <tau> {time:.16e} </tau> </thermostat>"
    # BAOAB samples positions far better than i-PI's own choice with steps of the same length
    # (Leimkuhler, Matthews, J. Chem. Phys. 138, 174102 (2013)). All digits, so that what i-PI
    # writes can be read back to the bit.
    return f"""<simulation verbosity='quiet' threading='False' floatformat='%24.16e'>
  {outputs}
  <total_steps> {steps} </total_steps>
  <prng> <seed> {settings.seed} </seed> </prng>
  {field}
  <system>
    <initialize nbeads='{count}'>
      <velocities mode='thermal'> {temperature:.16e} </velocities>
    </initialize>
    <beads natoms='{len(atoms)}' nbeads='{count}'>
      <q shape='({count}, {3 * len(atoms)})'>
{_array(np.tile(atoms.positions.ravel() * LENGTH, count))} </q>
      <m> {_array(atoms.get_masses() * MASS)} </m>
      <names> [ {", ".join(atoms.symbols)} ] </names>
    </beads>
    <cell shape='(3, 3)'> {_array(cell.ravel())} </cell>
    <forces> <force forcefield='potential'/> </forces>
    <motion mode='dynamics'>
      <dynamics mode='{mode}' splitting='baoab'>
        <timestep> {settings.timestep_fs * TIME_FS:.16e} </timestep>
        {bath}
      </dynamics>
    </motion>
    <ensemble> <temperature> {temperature:.16e} </temperature> </ensemble>
  </system>
</simulation>
"""


def _array(values: Iterable[float]) -> str:
    return "[ " + ", ".join(f"{value:.16e}" for value in values) + " ]"


def _outputs(settings: PathIntegralSettings) -> str:
    return f"""<output prefix='pimd'>
    <properties stride='{settings.log_interval}' filename='out'> [ step, time{{femtosecond}},
      conserved{{electronvolt}}, temperature{{kelvin}}, kinetic_cv{{electronvolt}},
      potential{{electronvolt}} ] </properties>
    <trajectory stride='{settings.trajectory_interval}' filename='xc' format='xyz'>
      x_centroid{{angstrom}} </trajectory>
    <checkpoint stride='{settings.checkpoint_interval}'/>
  </output>"""
