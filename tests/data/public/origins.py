"""Reference data in the form in which their origins publish them."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.public.rows import DATA_SETS, DataFile
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings

KBAR = 1602.1766208  # kbar per eV/Å^3


def row(name: str) -> DataFile:
    """A file of a data set by ``SET/FILE``."""
    data_set, _, file = name.partition("/")
    return next(row for row in DATA_SETS[data_set].files if row.name == file)


def as_published(shared: Path, name: str, folder: Path) -> None:
    """Write reference data in the form in which their origin has them, which is not here."""
    FORMS[row(name).converter](shared / "data" / name, row(name), folder)


def _rmd17(source: Path, file: DataFile, folder: Path) -> None:
    archive = np.load(source)
    for part, path in zip(("train", "test"), file.sources, strict=True):
        kept = archive[f"split_{part}"] == 1
        target = _made(folder / path)
        np.savez(
            target,
            nuclear_charges=archive["z"],
            coords=archive[f"R_{part}"][kept].astype(float),
            energies=archive[f"E_{part}"][kept],
            forces=archive[f"F_{part}"][kept].astype(float),
            old_indices=archive[f"md17_index_{part}"][kept].astype(np.int64),
        )


def _mlearn(source: Path, file: DataFile, folder: Path) -> None:
    entries = []
    for frame in reversed(read(source)):  # the order of the origin is another
        atoms, group = frame.atoms, str(frame.atoms.info["group"])
        swapped = atoms[0].symbol == "Li" or (group == "Elastic" and atoms[0].symbol in "SiGe")
        entries.append(
            {
                "outputs": {
                    "energy": frame.energy,
                    "forces": frame.forces.tolist(),
                    "virial_stress": kbar(frame, "yz_zx" if swapped else "xz_yz"),
                },
                "group": group,
                "element": atoms[0].symbol,
                "structure": _pymatgen(frame),
            }
        )
    _made(folder / file.sources[0]).write_text(json.dumps(entries))


def _maml(source: Path, file: DataFile, folder: Path) -> None:
    entries: dict[str, list[object]] = {path: [] for path in file.sources}
    paths = {Path(path).stem: path for path in file.sources}
    for frame in read(source):
        outputs = {"energy": frame.energy, "forces": frame.forces.tolist()}
        entry = {
            "outputs": outputs | {"stress": kbar(frame, "yz_zx")},
            "group": "Mo",  # of all of them
            "structure": _pymatgen(frame),
        }
        # Of solid solutions every second frame was taken.
        entries[paths[frame.atoms.info["group"]]] += [entry, _moved(entry)]
    for path, listed in entries.items():
        _made(folder / path).write_text(json.dumps(listed))


def _moved(entry: dict[str, Any]) -> dict[str, Any]:
    other: dict[str, Any] = json.loads(json.dumps(entry))
    other["structure"]["sites"][0]["xyz"][0] += 0.1
    return other


def _zeo22(source: Path, file: DataFile, folder: Path) -> None:
    frames: dict[str, list[Frame]] = {Path(path).stem: [] for path in file.sources}
    for frame in read(source):
        frames[frame.atoms.info["topology"]].append(frame)
    for path in file.sources:
        own = frames[Path(path).stem]
        length = 1 + max(frame.atoms.info["frame"] for frame in own)
        shape = length, len(own[0].atoms), 3
        arrays = {
            "symbols": np.array(own[0].atoms.get_chemical_symbols()),
            "energies": np.zeros(length),
            "positions": np.zeros(shape),
            "forces": np.zeros(shape),
            "cells": np.zeros((length, 3, 3)),
        }
        for frame in own:
            place = frame.atoms.info["frame"]
            arrays["energies"][place] = frame.energy
            arrays["positions"][place] = frame.atoms.positions
            arrays["forces"][place] = frame.forces
            arrays["cells"][place] = frame.atoms.cell.array
        np.savez(_made(folder / path), **arrays)


def _pymatgen(frame: Frame) -> dict[str, object]:
    atoms = frame.atoms
    return {
        "lattice": {"matrix": atoms.cell.tolist()},
        "sites": [
            {"species": [{"element": atom.symbol, "occu": 1}], "xyz": list(position)}
            for atom, position in zip(atoms, atoms.positions.tolist(), strict=True)
        ],
    }


def _alignn(source: Path, file: DataFile, folder: Path) -> None:
    entries = []
    for frame in read(source):
        atoms = frame.atoms
        entry = {
            "atoms": {
                "lattice_mat": atoms.cell.tolist(),
                "coords": atoms.get_scaled_positions(wrap=False).tolist(),
                "elements": atoms.get_chemical_symbols(),
                "cartesian": False,
            },
            "total_energy": frame.energy / len(atoms),
            "forces": frame.forces.tolist(),
            "stresses": kbar(frame, "xz_yz"),
        }
        entries += [entry, entry]  # with duplicates
    _made(folder / file.sources[0]).write_text(json.dumps(entries))


def _mgo(source: Path, file: DataFile, folder: Path) -> None:
    ids = np.load(source)["source_id"].tolist()
    paths = {int(path.rpartition("-")[2][:5]): path for path in file.sources}
    for number, frame in zip(ids, read(source), strict=True):
        atoms = frame.atoms
        tables = {
            "forces": frame.forces,
            "stress": -KBAR * frame.stress,
            "basis": atoms.cell.array,
            "positions": atoms.get_scaled_positions(wrap=False),
        }
        rows = "".join(
            f'<varray name="{name}">' + "".join(map(_vector, table)) + "</varray>"
            for name, table in tables.items()
        )
        kinds = "<rc><c>32</c><c>Mg</c></rc><rc><c>32</c><c>O </c></rc>"
        kinds += "".join(f"<rc><c>{symbol}</c></rc>" for symbol in atoms.get_chemical_symbols())
        _made(folder / paths[number]).write_text(
            f'<modeling><calculation><energy><i name="e_fr_energy"> {frame.energy} </i></energy>'
            f"{rows}<set>{kinds}</set></calculation></modeling>"
        )


def _copy(source: Path, file: DataFile, folder: Path) -> None:
    _made(folder / file.sources[0]).write_bytes(lzma.decompress(source.read_bytes()))


def read(path: Path | str, **settings: Any) -> list[Frame]:
    return read_frames(DataSettings(str(path), **settings))


def kbar(frame: Frame, order: str) -> list[float]:
    """A stress as it is published: compression positive, xx yy zz xy and two more."""
    if frame.stress is None:
        return [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]  # of a surface, where it means nothing
    s = -KBAR * frame.stress
    last = [s[1, 2], s[0, 2]] if order == "yz_zx" else [s[0, 2], s[1, 2]]
    return [float(value) for value in (s[0, 0], s[1, 1], s[2, 2], s[0, 1], *last)]


def _vector(values: Sequence[float]) -> str:
    return "<v>" + " ".join(f"{value:.8f}" for value in values) + "</v>"


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


FORMS = {
    "rmd17": _rmd17, "mlearn": _mlearn, "alignn": _alignn, "mgo": _mgo, "copy": _copy,
    "maml": _maml, "zeo22": _zeo22,
}  # fmt: skip
