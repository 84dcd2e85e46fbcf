"""The card of a potential: everything but its weights, stored in ``card.json``.

Architecture and settings, elements, level of theory, training data, figures of merit, and golden
vectors: small structures with the energy, forces and stress that the potential gave where it was
made. Cards of older formats are brought up to date as they are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_geomformer.machine.bounded import JSON_BYTES, parse_json, read_regular_file
from ase_geomformer.settings.plain import check_plain

if TYPE_CHECKING:
    from ase import Atoms

CARD_FILE = "card.json"
WEIGHTS_FILE = "model.safetensors"
FORMAT_VERSION = 2
# The last element that ASE knows.
HEAVIEST = 118

# Golden vectors are small; no card comes near.
LARGEST_CARD_BYTES = 2**26


def _from_1_to_2(content: dict[str, Any]) -> dict[str, Any]:
    """Electrostatics had one form of truncation, which was not named."""
    terms = dict(content.get("terms", {}))
    if "electrostatics" in terms:
        terms["electrostatics"] = {"truncation": "published", **terms["electrostatics"]}
    return {**content, "terms": terms, "format_version": 2}


# What turns a card of one format version into the next: {1: from_1_to_2, ...}.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1_to_2}


class CheckpointError(ValueError):
    """A potential's folder is incomplete, damaged or of another format."""


@dataclass(frozen=True)
class DataSource:
    """A data set that a potential was trained on."""

    name: str
    licence: str
    citation: str
    level_of_theory: str
    frames: int


@dataclass(frozen=True)
class GoldenVector:
    """A structure and the results of the potential in float64; eV, Å, eV/Å, eV/Å^3.

    ``stress`` (3, 3) is None for a structure whose cell has no volume, and for a potential that
    has no stress.
    """

    atomic_numbers: list[int]
    positions: list[list[float]]
    cell: list[list[float]]
    pbc: list[bool]
    charge: float
    spin: float
    energy: float
    forces: list[list[float]]
    stress: list[list[float]] | None

    def __post_init__(self) -> None:
        atoms = len(self.atomic_numbers)
        shapes = {"positions": (atoms, 3), "cell": (3, 3), "pbc": (3,), "forces": (atoms, 3)}
        for name, shape in shapes.items() | ({"stress": (3, 3)}.items() if self.stress else set()):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} of a GoldenVector of {atoms} atoms is not {shape}")
        strange = [number for number in self.atomic_numbers if not 1 <= number <= HEAVIEST]
        if strange:
            raise ValueError(f"a GoldenVector has the atomic number {strange[0]}")

    def to_atoms(self) -> Atoms:
        from ase import Atoms

        return Atoms(
            self.atomic_numbers,
            positions=self.positions,
            cell=self.cell,
            pbc=self.pbc,
            info={"charge": self.charge, "spin": self.spin},
        )


@dataclass(frozen=True)
class Card:
    """Description of a potential, apart from its weights.

    ``conservative``, ``exact_equivariance`` and the fields from ``architecture`` to
    ``num_parameters`` describe the potential itself and are filled in by
    :func:`~ase_geomformer.checkpoint.folder.save_potential`; the others are for its reader.
    """

    name: str
    description: str = ""
    licence: str = ""
    citations: list[str] = field(default_factory=list)
    data: list[DataSource] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    conservative: bool = True
    exact_equivariance: bool = True
    architecture: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    elements: list[str] = field(default_factory=list)
    cutoff_A: float = 0.0
    reference_energies_eV: dict[str, float] = field(default_factory=dict)
    energy_scale_eV: float = 1.0
    terms: dict[str, dict[str, Any]] = field(default_factory=dict)
    units: dict[str, str] = field(
        default_factory=lambda: {"energy": "eV", "length": "Angstrom", "stress": "eV/Angstrom^3"}
    )
    dtype: str = "float32"
    sha256: str = ""
    num_parameters: int = 0
    golden: list[GoldenVector] = field(default_factory=list)
    package_version: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def level_of_theory(self) -> str:
        """The levels of theory of the training data, each once."""
        return ", ".join(dict.fromkeys(source.level_of_theory for source in self.data))


def read_card(folder: str | Path) -> Card:
    """Read and check the card of a potential's folder; old formats are upgraded.

    Raises
    ------
    CheckpointError
    """
    path = Path(folder) / CARD_FILE
    raw = read_part(path, JSON_BYTES)
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or type(content.get("format_version")) is not int:
        raise CheckpointError(f"{path} is not a card: it has no format_version")
    version = content["format_version"]
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {version}, this package reads up to {FORMAT_VERSION}; "
            "upgrade ase-geomformer"
        )
    if version < min(UPGRADES, default=FORMAT_VERSION):
        raise CheckpointError(f"{path}: there is no format version {version}")
    try:
        for old in range(version, FORMAT_VERSION):
            content = UPGRADES[old](content)
        return _card_from(content)
    except Exception as error:  # an upgrade takes for granted what the card may not have
        raise CheckpointError(f"{path}: {error or type(error).__name__}") from error


def read_part(path: Path, limit_bytes: float) -> bytes:
    """The content of a file of a potential's folder.

    Raises
    ------
    CheckpointError
        If it cannot be read or is larger than ``limit_bytes``.
    """
    try:
        return read_regular_file(path, limit_bytes)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{path} cannot be read ({reason}); a potential is a folder with {CARD_FILE} and "
            f"{WEIGHTS_FILE}"
        ) from error


def card_text(content: dict[str, Any]) -> str:
    """JSON of a card, indented for reading, with rows of numbers kept on one line."""
    text = json.dumps(content, indent=1, allow_nan=False)
    item = r"(?:[-\d.e+]+|true|false)"
    number_rows = re.compile(rf"\[\s+({item}(?:,\s+{item})*)\s+\]")
    return number_rows.sub(lambda row: "[" + re.sub(r"\s+", " ", row.group(1)) + "]", text) + "\n"


def _card_from(content: dict[str, Any]) -> Card:
    known = {entry.name for entry in fields(Card)}
    missing = sorted({"name", "architecture", "elements", "sha256"} - set(content))
    strange = sorted(set(content) - known)
    if missing or strange:
        raise ValueError(f"missing fields {missing}, unknown fields {strange}")
    check_plain(content, Card, "")
    data = [DataSource(**source) for source in content.get("data", [])]
    golden = [GoldenVector(**vector) for vector in content.get("golden", [])]
    if content.get("dtype", "float32") not in ("float32", "float64"):
        raise ValueError(f"dtype {content['dtype']!r} is neither float32 nor float64")
    return Card(**{**content, "data": data, "golden": golden})
