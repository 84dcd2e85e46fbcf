"""Labels of a file, checked and converted to eV, Å and e."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from ase import Atoms, units
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from ase_geomformer.data.consistency import contradictions
from ase_geomformer.data.frames import TARGETS, Frame
from ase_geomformer.data.plausibility import doubts
from ase_geomformer.data.sources import DataSettings

AUTO_KEYS = {
    "energy": ("REF_energy", "energy", "E"),
    "forces": ("REF_forces", "forces", "F"),
    "stress": ("REF_stress", "stress"),
    "charges": ("REF_charges", "charges"),
    "dipole": ("REF_dipole", "dipole"),
}
OPTIONAL_WHEN_AUTO = frozenset({"stress", "charges", "dipole"})

# Of the frames that cannot be used, how many are named.
TOLD = 5

Result = TypeVar("Result")


class DataError(ValueError):
    """A data file that cannot be used with these settings; the message names file and remedy."""


class DataWarning(UserWarning):
    """Labelled structures that were skipped or look wrong; the message names them."""


@dataclass(frozen=True, eq=False)
class Record:
    """One structure of a file: the atoms and all named values."""

    atoms: Atoms
    values: Mapping[str, Any]
    source: str
    index: int

    @property
    def where(self) -> str:
        return f"{self.source}, frame {self.index}"


def frames_from_records(records: Sequence[Record], settings: DataSettings) -> list[Frame]:
    """Select, convert and check; see :func:`ase_geomformer.data.readers.read_frames`."""
    damage: list[DataError] = []
    records = list(sound(check_geometry, records, damage))
    if not records:
        raise DataError(told(damage, len(damage)))
    keys = {target: find_key(records, target, settings) for target in TARGETS}
    chosen = select(records, settings.select)
    frames = list(sound(lambda record: to_frame(record, keys, settings), chosen, damage))
    if damage and not (settings.skip_damaged and frames):
        raise DataError(told(damage, len(chosen)))
    if damage:
        warnings.warn(f"skipped: {told(damage, len(chosen))}", DataWarning, stacklevel=3)
    for doubt in (*doubts(frames), *contradictions(frames)):
        warnings.warn(doubt, DataWarning, stacklevel=3)
    if settings.max_force is None:
        return frames
    gentle = [frame for frame in frames if largest_force(frame) <= settings.max_force]
    if not gentle:
        smallest = min(largest_force(frame) for frame in frames)
        raise DataError(
            f"{', '.join(settings.paths)}: max_force {settings.max_force} eV/Å excludes all "
            f"frames; the largest force of every frame is at least {smallest:.4g} eV/Å"
        )
    return gentle


def sound(
    use: Callable[[Record], Result], records: Sequence[Record], damage: list[DataError]
) -> Iterator[Result]:
    """Results of ``use`` for valid records; errors of the others are added to ``damage``."""
    for record in records:
        try:
            result = use(record)
        except DataError as error:
            damage.append(error)
        else:
            yield result


def told(damage: Sequence[DataError], frames: int) -> str:
    """One message on damaged frames that names the first of them."""
    if len(damage) == 1:
        return f"{damage[0]}; set skip_damaged: true to skip it"
    first = "; ".join(str(error) for error in damage[:TOLD])
    more = "; and so on" if len(damage) > TOLD else ""
    return (
        f"{len(damage)} of {frames} frames cannot be used: {first}{more}. Set skip_damaged: true "
        "to skip them"
    )


def find_key(records: Sequence[Record], target: str, settings: DataSettings) -> str | None:
    """The name of a label in all records, None if it is not to be read."""
    asked: str | None = getattr(settings, f"{target}_key")
    if asked is None:
        return None
    candidates = AUTO_KEYS[target] if asked == "auto" else (asked,)
    for candidate in candidates:
        if any(candidate in record.values for record in records):
            refuse_mixed(records, target, candidate, candidates)
            refuse_virial(records, target, candidate)
            return candidate
    if asked == "auto" and target in OPTIONAL_WHEN_AUTO:
        return None
    raise DataError(
        f"{', '.join(settings.paths)}: no frame has {' or '.join(candidates)}, requested as "
        f"{target}_key; the file has {keys_there(records)}. Give the right name, or set "
        f"{target}_key to null"
    )


def refuse_mixed(
    records: Sequence[Record], target: str, chosen: str, candidates: Sequence[str]
) -> None:
    """Refuse records with several names for one label, of which only one would be read."""
    for record in records:
        other = next((name for name in candidates if name in record.values), chosen)
        if record.values.get(chosen) is None and record.values.get(other) is not None:
            without = sum(chosen not in one.values and other in one.values for one in records)
            raise DataError(
                f"{record.where}: has {target} under {other!r}, while others have it under "
                f"{chosen!r}: {without} of {len(records)} frames would lose their label. Set "
                f"{target}_key to the right one, or use one name for all labels"
            )


def refuse_virial(records: Sequence[Record], target: str, chosen: str) -> None:
    """Refuse to read a virial, an energy, as a stress, which is an energy over a volume."""
    if target == "stress" and "virial" in chosen.lower():
        first = next(record for record in records if chosen in record.values)
        raise DataError(
            f"{first.where}: {chosen!r} is a virial in units of energy, not a stress. Store the "
            "stress, -virial / volume where the virial is that of the forces (as GAP and NequIP "
            "write it), and name it with stress_key"
        )


def keys_there(records: Sequence[Record]) -> str:
    """The names of all values, for messages."""
    return ", ".join(sorted({key for record in records for key in record.values})) or "none"


def select(records: Sequence[Record], wanted: Mapping[str, Any]) -> Sequence[Record]:
    """The records that fulfil all conditions; each condition must keep some."""
    for key, value in wanted.items():
        if not any(key in record.values for record in records):
            raise DataError(
                f"{records[0].source}: select uses {key!r}, which no frame has; the file has "
                f"{keys_there(records)}"
            )
        accepted = value if isinstance(value, list) else [value]
        kept = [record for record in records if scalar(record.values.get(key)) in accepted]
        if not kept:
            found = sorted({str(scalar(record.values.get(key))) for record in records})[:10]
            raise DataError(
                f"{records[0].source}: no frame has {key} = {value!r}; the values are "
                f"{', '.join(found)}"
            )
        records = kept
    return records


def scalar(value: Any) -> Any:
    """A NumPy scalar or 0-d array as the Python value it stands for."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value


def check_geometry(record: Record) -> Record:
    """Refuse frames without atoms, with unknown elements or with NaN positions."""
    atoms = record.atoms
    if len(atoms) == 0:
        raise DataError(f"{record.where}: the frame has no atoms; remove it")
    numbers = atoms.get_atomic_numbers()
    if numbers.min() < 1 or numbers.max() > 118:
        bad = sorted(set(numbers[(numbers < 1) | (numbers > 118)].tolist()))
        raise DataError(
            f"{record.where}: atomic numbers {bad} are not those of elements (archives padded with "
            "zeros are not supported: write extxyz instead)"
        )
    if not np.isfinite(atoms.get_positions()).all() or not np.isfinite(atoms.cell.array).all():
        raise DataError(f"{record.where}: a position or cell entry is NaN or infinite")
    return record


def to_frame(record: Record, keys: Mapping[str, str | None], settings: DataSettings) -> Frame:
    """The record's structure and labels in the package's units."""
    factors = settings.factors
    labels = {
        target: read_label(record, target, key) * factors[target]
        for target, key in keys.items()
        if key is not None and record.values.get(key) is not None
    }
    atoms = Atoms(
        numbers=record.atoms.get_atomic_numbers(),
        positions=record.atoms.get_positions() * factors["length"],
        cell=record.atoms.cell.array * factors["length"],
        pbc=record.atoms.pbc,
        info={
            key: scalar(value) for key, value in record.atoms.info.items() if np.size(value) == 1
        },
    )
    if "stress" in labels and atoms.cell.rank < 3:
        raise DataError(
            f"{record.where}: has a stress under {keys['stress']!r} but its cell has no volume; "
            "remove the label, or set stress_key to null"
        )
    if "stress" in labels:
        labels["stress"] = labels["stress"] + settings.stress_offset_GPa * units.GPa * np.eye(3)
    energy = labels.pop("energy", None)
    return Frame(
        atoms=atoms,
        energy=None if energy is None else float(energy),
        source=record.source,
        index=record.index,
        **labels,
    )


def read_label(record: Record, target: str, key: str) -> NDArray[np.float64]:
    """One label in its own shape and the file's units, checked."""
    try:
        value = np.asarray(record.values[key], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{record.where}: {key} is not numeric: {record.values[key]!r}") from None
    shaped = SHAPES[target](value, len(record.atoms))
    if shaped is None:
        raise DataError(
            f"{record.where}: {key} has shape {value.shape}, which does not fit {target} of "
            f"{len(record.atoms)} atoms"
        )
    if not np.isfinite(shaped).all():
        raise DataError(
            f"{record.where}: {key} holds NaN or infinite numbers; remove the frame or the label"
        )
    return shaped


def _energy(value: NDArray[np.float64], _atoms: int) -> NDArray[np.float64] | None:
    return value.reshape(()) if value.size == 1 else None


def _forces(value: NDArray[np.float64], atoms: int) -> NDArray[np.float64] | None:
    return value if value.shape == (atoms, 3) else None


def _stress(value: NDArray[np.float64], _atoms: int) -> NDArray[np.float64] | None:
    if value.shape == (6,):
        return np.array(voigt_6_to_full_3x3_stress(value))
    return value.reshape(3, 3) if value.shape in ((9,), (3, 3)) else None


def _charges(value: NDArray[np.float64], atoms: int) -> NDArray[np.float64] | None:
    return value.reshape(atoms) if value.shape in ((atoms,), (atoms, 1)) else None


def _dipole(value: NDArray[np.float64], _atoms: int) -> NDArray[np.float64] | None:
    return value.reshape(3) if value.shape in ((3,), (1, 3)) else None


SHAPES: dict[str, Callable[[NDArray[np.float64], int], NDArray[np.float64] | None]] = {
    "energy": _energy,
    "forces": _forces,
    "stress": _stress,
    "charges": _charges,
    "dipole": _dipole,
}
"""How each target's array is brought into its shape; None where it cannot be."""


def largest_force(frame: Frame) -> float:
    """Largest norm of an atom's force, eV/Å; zero for a frame without forces."""
    return 0.0 if frame.forces is None else float(np.linalg.norm(frame.forces, axis=1).max())
