"""Trajectories in HDF5 by the H5MD convention (de Buyl et al., CPC 185, 1546 (2014))."""

from __future__ import annotations

import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import units

from ase_geomformer.machine.bounded import check_claim, check_free_memory, check_regular
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.md.hdf5 import LIBVER, open_to_add
from ase_geomformer.md.simulation import Simulation

# Bytes of frames held back before they are written; a checkpoint writes them in any case.
_HELD_BACK = 2**24
# Rough size in bytes of a chunk, the unit of compression and reading.
_CHUNK = 2**18
_SINGLE, _DOUBLE = np.dtype("float32"), np.dtype("float64")
_GROUP = "particles/trajectory"
# Units as H5MD writes them; forces in the one unit that MDAnalysis has for them.
_ELEMENTS = {"position": "Angstrom", "velocity": "Angstrom fs-1", "force": "kJ mol-1 Angstrom-1"}
_CELL = "box/edges"


class H5MDTrajectory:
    """Compressed frames of positions, velocities and forces in single precision.

    The file can be read by any program at any moment, see :mod:`ase_geomformer.md.hdf5`, also
    after the process was killed.
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
            held = len(frame_datasets(file)["position"])
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
                h5py.File(temporary, "w", libver=LIBVER) as file,
            ):
                _declare(file, self.simulation)
        with open_to_add(self.path) as file:
            count = self._written + len(self._frames)
            for name, dataset in frame_datasets(file).items():
                dataset.resize(count, axis=0)
                dataset[self._written :] = np.stack([frame[name] for frame in self._frames])
                dataset.flush()
        self._written, self._frames = count, []


def opened(path: Path) -> Any:
    """The file, open for reading, also while it is written to."""
    import h5py

    check_regular(path)
    return h5py.File(path, "r", swmr=True, locking=False)


def read_h5md(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a trajectory by the names of :class:`H5MDTrajectory`'s groups.

    Returns
    -------
    dict of str to array
        ``species`` and ``mass`` (N,); ``step`` and ``time`` (T,); ``position``, ``velocity`` and
        ``force`` (T, N, 3) and ``box/edges`` (T, 3, 3), as far as they are there; ``boundary``,
        (3,) of bool.

    Raises
    ------
    ValueError
        If it is not such a file, what it claims is more than it holds or than fits into memory,
        or its parts do not fit together.
    """
    with opened(path) as file:
        datasets, atoms = frame_datasets(file), atom_datasets(file)
        frames = len(datasets["position"])
        check_free_memory(sum(held.size * 8.0 for held in datasets.values()))
        found = {name: dataset[:frames] for name, dataset in datasets.items()}
        found |= {name: dataset[...] for name, dataset in atoms.items()}
        return {**found, "boundary": boundary(file)}


def boundary(file: Any) -> np.ndarray:
    """Whether the directions (3,) are periodic; ValueError if it is not told."""
    box = _member(file, f"{_GROUP}/box")
    if "boundary" not in box.attrs or box.attrs.get_id("boundary").shape != (3,):
        raise ValueError("its box has no boundary of three directions")
    return np.array([kind in ("periodic", b"periodic") for kind in box.attrs["boundary"]])


def _declare(file: Any, simulation: Simulation) -> None:
    """Everything but the frames."""
    atoms = simulation.atoms
    head = file.create_group("h5md")
    head.attrs["version"] = np.array([1, 1])
    head.create_group("author").attrs["name"] = "unknown"
    head.create_group("creator").attrs.update(
        name="ase-geomformer", version=version("ase-geomformer")
    )
    group = file.create_group(_GROUP)
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


def frame_datasets(file: Any) -> dict[str, Any]:
    """The datasets with a row for each frame, as frames name them.

    Positions, by which readers count the frames, are the last to grow: others may be longer.

    Raises
    ------
    ValueError
        If they are not there, do not fit together, or claim more than there is.
    """
    held = _member(file, f"{_GROUP}/position/value")
    if held.ndim != 3:
        raise ValueError(f"its positions are of shape {held.shape}, not (frames, atoms, 3)")
    frames, atoms = held.shape[:2]
    shapes = {
        "position/step": (), "position/time": (), f"{_CELL}/value": (3, 3),
        **{f"{name}/value": (atoms, 3) for name in reversed(_ELEMENTS)},
    }  # fmt: skip
    found = {}
    for name, shape in shapes.items():
        optional = name.removesuffix("/value")
        if optional in ("velocity", "force", _CELL) and optional not in file[_GROUP]:
            continue
        dataset = _member(file, f"{_GROUP}/{name}")
        _check(dataset, name, (frames, *shape))
        found[optional.removeprefix("position/")] = dataset
    return found


def atom_datasets(file: Any) -> dict[str, Any]:
    """The datasets with a number for each atom; errors are those of :func:`frame_datasets`."""
    found = {name: _member(file, f"{_GROUP}/{name}") for name in ("species", "mass")}
    count = _member(file, f"{_GROUP}/position/value").shape[1]
    for name, dataset in found.items():
        _check(dataset, name, (count,))
    return found


def _member(group: Any, path: str) -> Any:
    """What lies in a group, links to other places and files excluded."""
    import h5py

    for name in path.split("/"):
        if not isinstance(group, h5py.Group) or name not in group:
            raise ValueError(f"it is not a trajectory in H5MD: it has no {path}")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"its {name} is a link to another place, which is not followed")
        group = group[name]
    return group


def _check(dataset: Any, name: str, shape: tuple[int, ...]) -> None:
    """Refuse a dataset of another shape, with fewer frames, or that claims what it has not."""
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"its {name} is not a dataset")
    if dataset.shape[1:] != shape[1:] or len(dataset) < shape[0]:
        raise ValueError(f"its {name} is of shape {dataset.shape}, not {shape}")
    if dataset.dtype.kind not in "iuf":
        raise ValueError(f"its {name} is of type {dataset.dtype}, not numbers")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"its {name} lies in another file, which is not read")
    sizes = [dataset.size, math.prod(dataset.chunks or ())]
    check_claim(name, max(sizes) * dataset.dtype.itemsize, dataset.id.get_storage_size())


def _keep(path: Path, count: int, simulation: Simulation) -> None:
    """Write the file anew with its first frames only."""
    import h5py

    with (
        opened(path) as old,
        atomic_file(path) as temporary,
        h5py.File(temporary, "w", libver=LIBVER) as new,
    ):
        _declare(new, simulation)
        kept = frame_datasets(old)
        for name, dataset in frame_datasets(new).items():
            if kept[name].shape[1:] != dataset.shape[1:]:
                raise ValueError(f"{path} is a trajectory of other atoms, or without its cells")
            dataset.resize(count, axis=0)
            rows = dataset.chunks[0]
            for start in range(0, count, rows):
                stop = min(count, start + rows)
                dataset[start:stop] = kept[name][start:stop]
