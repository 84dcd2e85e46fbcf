"""Input of i-PI for path-integral molecular dynamics with a potential.

i-PI loads the driver, :mod:`ase_geomformer.engines.ipi_driver`, into its own process and hands it
the replicas of a step together, so that they are one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from ase import Atoms
from ase.io import write

from ase_geomformer.machine.files import atomic_file, write_text
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged

STRUCTURE_FILE, REPLICA_FILE, INPUT_FILE = "structure.traj", "init.xyz", "input.xml"
# Å; the cell that i-PI needs of structures without one.
_OPEN_CELL = 1000.0
# In i-PI's lists of parameters.
_SPECIAL = ",:{}[]"
_DRIVER = "ase_geomformer.engines.ipi_driver"


@dataclass(frozen=True)
class PathIntegralSettings:
    """Settings of path-integral molecular dynamics at constant volume and temperature.

    Attributes
    ----------
    beads : int
        Number of replicas; their number times the temperature should be several times the highest
        frequency, 32 at 300 K for molecules with hydrogen.
    temperature_K : float
    timestep_fs : float
    steps : int
    thermostat_time_fs : float
        Time constant of the thermostat of the centroid.
    seed : int
        Of velocities and thermostat.
    batch_size : int
        Replicas that are evaluated together; beads beyond it are further batches.
    log_interval, trajectory_interval, checkpoint_interval : int
        Steps between lines of properties, frames, and restart files.
    """

    beads: int = ranged(32, 1, 4096)
    temperature_K: float = ranged(300.0, 0, 1e6, "K", above=True)
    timestep_fs: float = ranged(0.5, 0, 100, "fs", above=True)
    steps: int = ranged(1000, 1, 10**12)
    thermostat_time_fs: float = ranged(100.0, 0.001, 1e9, "fs")
    seed: int = ranged(1, 1, 2**31 - 1)
    batch_size: int = ranged(32, 1, 4096)
    log_interval: int = ranged(10, 1, 10**12)
    trajectory_interval: int = ranged(100, 1, 10**12)
    checkpoint_interval: int = ranged(1000, 1, 10**12)

    def __post_init__(self) -> None:
        check_settings(self)


def forcefield(
    potential: str, structure: Path, batch_size: int, *, periodic: bool, dtype: str = "float64"
) -> str:
    """The ``<ffdirect>`` of an input of i-PI, called ``potential``.

    Parameters
    ----------
    potential : str
        Name or path.
    structure : Path
        File with the atoms in i-PI's order, their boundaries, charge and spin.
    batch_size : int
        Replicas that are evaluated together.
    periodic : bool
    dtype : str

    Raises
    ------
    ValueError
        If a name or path has a character in it that i-PI gives a meaning.
    """
    found = find_spec(_DRIVER)
    path = found.origin if found else None
    parameters = {"potential": potential, "structure": str(structure.resolve()), "dtype": dtype}
    for name, value in parameters.items():
        if set(value) & set(_SPECIAL):
            raise ValueError(
                f"the {name} {value!r} has one of the characters {_SPECIAL} in it, which i-PI "
                "cannot read; use another folder"
            )
    listed = ", ".join(f"{name}: {value}" for name, value in parameters.items())
    # Threaded: else i-PI waits for ever if a step's evaluations do not fill the last batch.
    return f"""<ffdirect name='potential' pbc='{periodic}' threaded='true'>
    <pes> custom </pes>
    <pes_path> {escape(str(path))} </pes_path>
    <batch_size> {batch_size} </batch_size>
    <latency> 1e-4 </latency>
    <parameters> {{ {escape(listed)} }} </parameters>
  </ffdirect>"""


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
    ``i-pi RESTART`` continues.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    atoms : ase.Atoms
        Open, or periodic in three directions.
    potential : str
        Name or path.
    settings : PathIntegralSettings, optional
    dtype : str

    Returns
    -------
    Path
        Of ``input.xml``.

    Raises
    ------
    ValueError
        If the structure is periodic in one or two directions.
    """
    settings = settings or PathIntegralSettings()
    periodic = bool(atoms.pbc.all())
    if atoms.pbc.any() and not periodic:
        raise ValueError("i-PI knows open structures and crystals, none with one or two directions")
    folder.mkdir(parents=True, exist_ok=True)
    turned = atoms.copy()
    if periodic:
        # In the orientation of i-PI: a along x, b in the plane of x and y.
        cell, _ = atoms.cell.standard_form()
        turned.set_cell(cell, scale_atoms=True)
    with atomic_file(folder / STRUCTURE_FILE) as temporary:
        write(temporary, turned, format="traj")
    write_text(folder / REPLICA_FILE, _replica(turned, periodic))
    field = forcefield(
        potential,
        folder / STRUCTURE_FILE,
        min(settings.batch_size, settings.beads),
        periodic=periodic,
        dtype=dtype,
    )
    path = folder / INPUT_FILE
    write_text(path, _simulation(settings, field))
    return path


def _replica(atoms: Atoms, periodic: bool) -> str:
    cell = atoms.cell.cellpar() if periodic else [_OPEN_CELL] * 3 + [90.0] * 3
    lengths = " ".join(f"{number:.12f}" for number in cell)
    rows = (
        f"{symbol} " + " ".join(f"{number:.14f}" for number in np.asarray(place))
        for symbol, place in zip(atoms.symbols, atoms.positions, strict=True)
    )
    title = f"# CELL(abcABC): {lengths} positions{{angstrom}} cell{{angstrom}}"
    return "\n".join([str(len(atoms)), title, *rows]) + "\n"


def _simulation(settings: PathIntegralSettings, field: str) -> str:
    return f"""<simulation verbosity='low'>
  <output prefix='pimd'>
    <properties stride='{settings.log_interval}' filename='out'> [ step, time{{femtosecond}},
      conserved{{electronvolt}}, temperature{{kelvin}}, kinetic_cv{{electronvolt}},
      potential{{electronvolt}} ] </properties>
    <trajectory stride='{settings.trajectory_interval}' filename='xc' format='xyz'>
      x_centroid{{angstrom}} </trajectory>
    <checkpoint stride='{settings.checkpoint_interval}'/>
  </output>
  <total_steps> {settings.steps} </total_steps>
  <prng> <seed> {settings.seed} </seed> </prng>
  {field}
  <system>
    <initialize nbeads='{settings.beads}'>
      <file mode='xyz'> {REPLICA_FILE} </file>
      <velocities mode='thermal' units='kelvin'> {settings.temperature_K} </velocities>
    </initialize>
    <forces> <force forcefield='potential'/> </forces>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> {settings.timestep_fs} </timestep>
        <thermostat mode='pile_g'>
          <tau units='femtosecond'> {settings.thermostat_time_fs} </tau>
        </thermostat>
      </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> {settings.temperature_K} </temperature> </ensemble>
  </system>
</simulation>
"""
