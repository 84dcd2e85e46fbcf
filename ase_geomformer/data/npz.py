"""npz archives like those of MD17, whose arrays run over the frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ase_geomformer.data.frames import TARGETS
from ase_geomformer.data.labels import DataError, Record
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.machine.bounded import check_archive
from ase_geomformer.machine.memory import free_memory

GEOMETRY_KEYS = {
    "positions": ("positions", "R"),
    "numbers": ("numbers", "atomic_numbers", "z", "Z"),
    "cell": ("cell", "lattice"),
    "pbc": ("pbc",),
}
STATE_KEYS = ("charge", "spin")


def read_npz(path: Path, settings: DataSettings) -> Iterator[Record]:
    """Yield the frames of an archive.

    Every other array with one row per frame becomes a value of the frames: labels, conditions
    of ``select``, and the total ``charge`` and ``spin`` multiplicity where present.
    """
    check_archive(path, free_memory(torch.device("cpu")) / 2)
    with np.load(path, allow_pickle=False) as archive:
        arrays = numeric_arrays(archive)
    positions = find_array(arrays, "positions", settings)
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise DataError(f"the positions have shape {positions.shape}, not (frames, atoms, 3)")
    frames, atoms = positions.shape[:2]
    numbers = find_array(arrays, "numbers", settings)
    numbers = per_frame("numbers", numbers, (frames, atoms))
    cells = find_array(arrays, "cell", settings, default=np.zeros((3, 3)))
    cells = per_frame("cell", cells, (frames, 3, 3))
    pbc = find_array(arrays, "pbc", settings, default=(cells != 0).any(axis=2))
    pbc = per_frame("pbc", pbc, (frames, 3))
    columns = {key: array for key, array in arrays.items() if array.shape[:1] == (frames,)}
    for key in asked_for(settings) & (arrays.keys() - columns.keys()):
        raise DataError(f"{key} has shape {arrays[key].shape}, but there are {frames} frames")
    state = [key for key in STATE_KEYS if key in columns]
    for index in range(frames):
        yield Record(
            atoms=Atoms(
                numbers=numbers[index],
                positions=positions[index],
                cell=cells[index],
                pbc=pbc[index],
                info={key: columns[key][index] for key in state},
            ),
            values={key: column[index] for key, column in columns.items()},
            source=str(path),
            index=index,
        )


def numeric_arrays(archive: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The numeric arrays of an archive; arrays of Python objects need pickle and are skipped."""
    arrays = {}
    for key in archive:
        try:
            arrays[key] = np.asarray(archive[key])
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
    return arrays


def find_array(
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    settings: DataSettings,
    default: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """An array of the geometry, or its default if it is optional and missing."""
    asked: str | None = getattr(settings, f"{name}_key")
    candidates = GEOMETRY_KEYS[name] if asked == "auto" else (asked,)
    for candidate in candidates:
        if candidate is not None and candidate in arrays:
            return arrays[candidate]
    if default is not None and asked in ("auto", None):
        return default
    raise DataError(
        f"there is no array {' or '.join(map(str, candidates))}, requested as {name}_key; the "
        f"arrays are {', '.join(arrays)}"
    )


def per_frame(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array with one row per frame, repeated if the file has it once for all frames."""
    if array.shape not in (shape, shape[1:]):
        raise DataError(f"{name} has shape {array.shape}, not {shape} or {shape[1:]}")
    return np.broadcast_to(array, shape)


def asked_for(settings: DataSettings) -> set[str]:
    """The arrays that the settings name and that must run over the frames."""
    return {*settings.select, *(getattr(settings, f"{target}_key") for target in TARGETS)}
