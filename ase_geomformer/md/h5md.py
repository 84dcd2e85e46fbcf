"""Trajectories in HDF5 by the H5MD convention (de Buyl et al., CPC 185, 1546 (2014))."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import units

from ase_geomformer.machine.files import atomic_file
from ase_geomformer.md.simulation import Simulation

# Bytes of frames held back before they are written; a checkpoint writes them in any case.
_HELD_BACK = 2**24
# Rough size in bytes of a chunk, the unit of compression and reading.
_CHUNK = 2**18
_SINGLE, _DOUBLE = np.dtype("float32"), np.dtype("float64")
GROUP = "particles/trajectory"
# Units as H5MD writes them; forces in the one unit that MDAnalysis has for them.
_ELEMENTS = {"position": "Angstrom", "velocity": "Angstrom fs-1", "force": "kJ mol-1 Angstrom-1"}
_CELL = "box/edges"


class H5MDTrajectory:
    """Compressed frames of positions, velocities and forces in single precision.

    The file is open only while a batch of frames is added, in HDF5's single-writer mode, whose
    order of writing keeps the file consistent even if the process is killed meanwhile.
    """

    def __init__(
        self, path: Path, simulation: Simulation, position: list[int] | None = None
    ) -> None:
        self.path, self.simulation = path, simulation
        self._frames: list[dict[str, Any]] = []
        self._written = 0
        if position is not None:
            self._written = position[0]
            _keep(path, self._written, simulation)

    @staticmethod
    def check_position(path: Path, position: list[int]) -> None:
        """Refuse a number of frames that the file does not have; ValueError says why."""
        if len(position) != 1:
            raise ValueError(f"the position in {path.name} has {len(position)} numbers, not 1")
        with opened(path) as file:
            held = min(len(dataset) for dataset in _datasets(file).values())
        if not 1 <= position[0] <= held:
            raise ValueError(f"{path.name} has {held} frames, not {position[0]}")

    def write(self) -> None:
        atoms = self.simulation.atoms
        frame = {
            "step": self.simulation.step,
            "time": self.simulation.time_fs,
            "position": atoms.positions.astype(_SINGLE),
            "velocity": (atoms.get_velocities() * units.fs).astype(_SINGLE),
            "force": (self.simulation.forces() / (units.kJ / units.mol)).astype(_SINGLE),
            _CELL: atoms.cell.array.copy(),
        }
        self._frames.append(frame)
        size = 3 * frame["position"].nbytes
        if not self._written or len(self._frames) * size > _HELD_BACK:
            self._flush()

    def position(self) -> list[int]:
        self._flush()
        return [self._written]

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        import h5py

        if not self._frames:
            return
        if not self._written:
            with (
                atomic_file(self.path) as temporary,
                h5py.File(temporary, "w", libver="latest") as file,
            ):
                _declare(file, self.simulation)
        # Readers that hold a lock must not stop the run.
        with h5py.File(self.path, "r+", libver="latest", locking=False) as file:
            file.swmr_mode = True
            count = self._written + len(self._frames)
            for name, dataset in _datasets(file).items():
                dataset.resize(count, axis=0)
                dataset[self._written :] = np.stack([frame[name] for frame in self._frames])
        self._written, self._frames = count, []


def opened(path: Path) -> Any:
    """The file, open for reading, also where a process was killed that had it open."""
    import h5py

    return h5py.File(path, "r", libver="latest", swmr=True, locking=False)


def _declare(file: Any, simulation: Simulation) -> None:
    """Everything but the frames."""
    atoms = simulation.atoms
    head = file.create_group("h5md")
    head.attrs["version"] = np.array([1, 1])
    head.create_group("author").attrs["name"] = "unknown"
    head.create_group("creator").attrs.update(
        name="ase-geomformer", version=version("ase-geomformer")
    )
    group = file.create_group(GROUP)
    group["species"] = atoms.numbers
    group["mass"] = atoms.get_masses()
    group["mass"].attrs["unit"] = "u"
    box = group.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = ["periodic" if periodic else "none" for periodic in atoms.pbc]
    kinds: dict[str, tuple[tuple[int, ...], np.dtype[Any], str]] = {
        name: ((len(atoms), 3), _SINGLE, unit) for name, unit in _ELEMENTS.items()
    }
    if atoms.cell.rank == 3:
        kinds[_CELL] = ((3, 3), _DOUBLE, "Angstrom")
    step = _dataset(group, "position/step", (), np.dtype("int64"))
    time = _dataset(group, "position/time", (), _DOUBLE, "fs")
    for name, (shape, kind, unit) in kinds.items():
        _dataset(group, f"{name}/value", shape, kind, unit)
        if name != "position":  # the same datasets under another name
            group[f"{name}/step"], group[f"{name}/time"] = step, time


def _dataset(
    group: Any, name: str, shape: tuple[int, ...], kind: np.dtype[Any], unit: str = ""
) -> Any:
    """A dataset without frames yet."""
    size = kind.itemsize * int(np.prod(shape))
    dataset = group.create_dataset(
        name,
        shape=(0, *shape),
        maxshape=(None, *shape),
        dtype=kind,
        chunks=(max(1, min(1024, _CHUNK // size)), *shape),
        compression="gzip",
        shuffle=True,
    )
    if unit:
        dataset.attrs["unit"] = unit
    return dataset


def _datasets(file: Any) -> dict[str, Any]:
    """The datasets with a row for each frame, as frames name them."""
    group = file[GROUP]
    found = {name: group[f"{name}/value"] for name in (*_ELEMENTS, _CELL) if name in group}
    return {"step": group["position/step"], "time": group["position/time"], **found}


def _keep(path: Path, count: int, simulation: Simulation) -> None:
    """Write the file anew with its first frames only.

    A file that a killed process had open for writing can be read, but not written to.
    """
    import h5py

    with (
        opened(path) as old,
        atomic_file(path) as temporary,
        h5py.File(temporary, "w", libver="latest") as new,
    ):
        _declare(new, simulation)
        kept = _datasets(old)
        for name, dataset in _datasets(new).items():
            dataset.resize(count, axis=0)
            rows = dataset.chunks[0]
            for start in range(0, count, rows):
                stop = min(count, start + rows)
                dataset[start:stop] = kept[name][start:stop]
