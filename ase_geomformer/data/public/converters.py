"""From the files of an origin to a file that ``train`` reads, checked on the way."""

from __future__ import annotations

import hashlib
import lzma
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.public.fingerprints import TOLERANCE, matched, stored
from ase_geomformer.data.public.rows import DataFile
from ase_geomformer.data.writer import labelled_atoms
from ase_geomformer.machine.bounded import check_archive, parse_json, read_regular_file

# Of one file of an origin; the largest here has 6 MB.
SOURCE_BYTES = 2**27
KBAR = 0.1 * units.GPa
# Which component the entries 3, 4 and 5 of a published stress are: of VASP's order, and of another.
XY_YZ_ZX, XY_XZ_YZ = ((0, 1), (1, 2), (2, 0)), ((0, 1), (0, 2), (1, 2))


def rmd17(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """One molecule of rMD17: the archives of training and test frames of split 1, in one."""
    arrays: dict[str, Any] = {}
    for part, path in zip(("train", "test"), sources, strict=True):
        check_archive(path, SOURCE_BYTES)
        with np.load(path, allow_pickle=False) as archive:
            arrays["z"] = archive["nuclear_charges"]
            arrays[f"R_{part}"] = archive["coords"].astype(np.float32)
            arrays[f"E_{part}"] = archive["energies"]
            arrays[f"F_{part}"] = archive["forces"].astype(np.float32)
            arrays[f"md17_index_{part}"] = archive["old_indices"].astype(np.int32)
        arrays[f"split_{part}"] = np.ones(len(arrays[f"E_{part}"]), dtype=np.uint8)
    _check_sum(rmd17_sum(arrays), file)
    with target.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def rmd17_sum(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of elements, positions, energies and forces, frames in the order of their energy."""
    digest = hashlib.sha256(arrays["z"].astype(np.uint8).tobytes())
    for part in ("train", "test"):
        order = np.argsort(arrays[f"E_{part}"], kind="stable")
        for name in ("R", "E", "F"):
            digest.update(np.ascontiguousarray(arrays[f"{name}_{part}"][order]).tobytes())
    return digest.hexdigest()


def mlearn(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """One element of mlearn, from structures of pymatgen as JSON.

    The order of the published stresses differs between groups: verified there against a virial
    made of the forces.
    """
    frames = []
    for entry in _json(sources[0]):
        element = entry["element"]
        elastic = "Elastic" in (group := str(entry["group"])) and element in ("Si", "Ge")
        order = XY_YZ_ZX if elastic or element == "Li" else XY_XZ_YZ
        frames.append(_of_pymatgen(entry, group, entry["outputs"]["virial_stress"], order))
    _write(target, matched(frames, stored(data_set, file.key)))


def maml(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """Mo-Nb-Ta-W of maml, from structures of pymatgen as JSON, a file for each group."""
    frames = [
        _of_pymatgen(entry, path.stem, entry["outputs"]["stress"], XY_YZ_ZX)
        for path in sources
        for entry in _json(path)
    ]
    _write(target, matched(frames, stored(data_set, file.key)))


def zeo22(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """Silica of Si-ZEO22, from archives of all frames of a topology, of which few are taken."""
    expected, frames = stored(data_set, file.key), []
    for path in sources:
        check_archive(path, SOURCE_BYTES)
        with np.load(path, allow_pickle=False) as archive:
            symbols, energies, positions, forces, cells = (
                archive[name] for name in ("symbols", "energies", "positions", "forces", "cells")
            )
        near = np.abs(np.ravel(energies)[:, None] - expected[:, 0]).min(axis=1) < TOLERANCE
        for index in np.flatnonzero(near).tolist():
            atoms = Atoms(symbols, positions=positions[index], cell=cells[index], pbc=True)
            atoms.info = {"topology": path.stem, "frame": index}
            frames.append(Frame(atoms, float(np.ravel(energies)[index]), forces[index]))
    _write(target, matched(frames, expected))


def alignn(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """One element of mlearn, from structures of JARVIS as JSON; energies there are per atom."""
    frames = []
    for entry in _json(sources[0]):
        atoms = entry["atoms"]
        structure = Atoms(
            atoms["elements"], cell=atoms["lattice_mat"], scaled_positions=atoms["coords"], pbc=True
        )
        if atoms["cartesian"]:
            structure.positions = atoms["coords"]
        frame = Frame(
            structure,
            energy=float(entry["total_energy"]) * len(structure),
            forces=np.array(entry["forces"], dtype=float),
            stress=_stress(entry["stresses"], XY_XZ_YZ),
        )
        # Of surfaces, the published stress is in another frame; which they are, the list knows.
        frames += [frame, Frame(structure, frame.energy, frame.forces)]
    _write(target, matched(frames, stored(data_set, file.key)))


def mgo(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """MgO of pypolymlp, from the shortened outputs of VASP, one for each frame."""
    frames = []
    for path in sources:
        calculation = ElementTree.fromstring(_bounded(path).decode()).find("calculation")
        assert calculation is not None
        tables = {str(table.get("name")): table for table in calculation.iter("varray")}
        symbols = [str(row.findtext("c")).strip() for row in calculation.iter("rc")]
        positions = _numbers(tables["positions"])
        frames.append(
            Frame(
                Atoms(
                    # The last rows are the atoms, those before the kinds of them.
                    symbols[-len(positions) :],
                    cell=_numbers(tables["basis"]),
                    scaled_positions=positions,
                    pbc=True,
                    info={"id": int(path.name.partition("-")[2].partition(".")[0])},
                ),
                energy=float(str(calculation.findtext("energy/i[@name='e_fr_energy']"))),
                forces=_numbers(tables["forces"]),
                stress=-KBAR * _numbers(tables["stress"]),
            )
        )
    frames = matched(frames, stored(data_set, file.key))
    ids = np.array([frame.atoms.info["id"] for frame in frames], dtype=np.int32)
    with target.open("wb") as stream:
        np.savez_compressed(
            stream,
            numbers=frames[0].atoms.numbers.astype(np.uint8),
            positions=np.array([frame.atoms.positions for frame in frames], dtype=np.float32),
            cell=np.array([frame.atoms.cell.array for frame in frames]),
            energy=np.array([frame.energy for frame in frames]),
            forces=np.array([frame.forces for frame in frames], dtype=np.float32),
            stress=np.array([frame.stress for frame in frames], dtype=np.float32),
            is_test=(ids % 10 == 0).astype(np.uint8),
            source_id=ids,
        )


def copy(sources: Sequence[Path], target: Path, data_set: str, file: DataFile) -> None:
    """A file as it is, compressed."""
    content = _bounded(sources[0])
    _check_sum(hashlib.sha256(content).hexdigest(), file)
    target.write_bytes(lzma.compress(content))


def _bounded(path: Path) -> bytes:
    try:
        return read_regular_file(path, SOURCE_BYTES)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _json(path: Path) -> Any:
    try:
        return parse_json(_bounded(path))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _of_pymatgen(
    entry: Mapping[str, Any],
    group: str,
    kbar: Sequence[float],
    order: Sequence[tuple[int, int]],
) -> Frame:
    """A labelled structure as pymatgen writes it."""
    sites = entry["structure"]["sites"]
    return Frame(
        Atoms(
            [site["species"][0]["element"] for site in sites],
            positions=[site["xyz"] for site in sites],
            cell=entry["structure"]["lattice"]["matrix"],
            pbc=True,
            info={"group": group},
        ),
        energy=float(entry["outputs"]["energy"]),
        forces=np.array(entry["outputs"]["forces"], dtype=float),
        # Rotated cells with vacuum: the stress is in another frame.
        stress=None if "Surface" in group else _stress(kbar, order),
    )


def _stress(kbar: Sequence[float], order: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """A published stress, compression positive in kbar, as a tensor in eV/Å^3."""
    tensor = np.diag(np.asarray(kbar[:3], dtype=float))
    for value, (i, j) in zip(kbar[3:], order, strict=True):
        tensor[i, j] = tensor[j, i] = value
    return -KBAR * tensor


def _numbers(table: ElementTree.Element) -> NDArray[np.float64]:
    return np.array([str(row.text).split() for row in table.iter("v")], dtype=float)


def _write(target: Path, frames: Sequence[Frame]) -> None:
    from ase.io import write  # takes scipy along, which changes the user's warning filters

    with lzma.open(target, "wt", encoding="utf-8") as stream:
        write(stream, [labelled_atoms(frame) for frame in frames], format="extxyz")


def _check_sum(found: str, file: DataFile) -> None:
    if found != file.sha256:
        raise ValueError(
            f"the content has sha256 {found[:12]}…, and {str(file.sha256)[:12]}… is "
            "right: it was altered or is incomplete, and is not used"
        )


Converter = Callable[[Sequence[Path], Path, str, DataFile], None]
CONVERTERS: dict[str, Converter] = {
    "rmd17": rmd17,
    "mlearn": mlearn,
    "alignn": alignn,
    "maml": maml,
    "zeo22": zeo22,
    "mgo": mgo,
    "copy": copy,
}
