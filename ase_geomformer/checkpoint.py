"""A potential on disk: a folder with ``card.json`` and ``model.safetensors``.

The card says everything about the potential that is not a weight: architecture and settings,
elements, level of theory, training data, figures of merit, and golden vectors, small structures
with the energy, forces and stress that the potential gave where it was made. Nothing
in the folder can run code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ase_geomformer.architectures.base import build
from ase_geomformer.checkpoint_checks import building, check_settings, check_weights
from ase_geomformer.files import atomic_folder
from ase_geomformer.graph import AtomGraph
from ase_geomformer.memory import free_memory
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.untrusted import check_plain, parse_json, read_regular_file

if TYPE_CHECKING:
    from ase import Atoms

CARD_FILE = "card.json"
WEIGHTS_FILE = "model.safetensors"
FORMAT_VERSION = 1

# Golden vectors are small; no card comes near.
LARGEST_CARD_BYTES = 2**26
# What turns a card of one format version into the next: {1: from_1_to_2, ...}.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


class CheckpointError(ValueError):
    """A potential's folder is incomplete, damaged, or not one of ours."""


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
    """A structure and what the potential gave for it in float64; eV, Å, eV/Å, eV/Å^3.

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
    """What a potential is, apart from its weights.

    ``conservative``, ``exact_equivariance`` and the fields from ``architecture`` to
    ``num_parameters`` describe the potential itself and are filled in by :func:`save_potential`;
    the others are for its reader.
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


def save_potential(
    potential: Potential, folder: str | Path, card: Card, golden: Sequence[Atoms] = ()
) -> Card:
    """Write a potential as a folder, atomically, and return the completed card.

    Parameters
    ----------
    potential : Potential
    folder : path
        Replaced as a whole if it exists.
    card : Card
        Name, description, data and figures; the rest is taken from the potential.
    golden : sequence of ase.Atoms
        Small structures whose results are stored, for later checks.
    """
    from safetensors.torch import save

    from ase_geomformer import __version__

    architecture = potential.architecture
    state = {name: tensor.contiguous() for name, tensor in potential.state_dict().items()}
    weights = save(state)
    complete = {
        **asdict(card),
        "conservative": potential.conservative,
        "exact_equivariance": architecture.exact_equivariance,
        "architecture": architecture.name,
        "settings": architecture.settings_dict(),
        "elements": list(potential.symbols),
        "cutoff_A": potential.cutoff,
        "reference_energies_eV": potential.reference_energies,
        "energy_scale_eV": potential.energy_scale,
        "terms": potential.terms_settings,
        "dtype": str(potential.dtype).removeprefix("torch."),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "num_parameters": sum(parameter.numel() for parameter in potential.parameters()),
        "golden": [asdict(vector) for vector in golden_vectors(potential, golden)],
        "package_version": __version__,
        "format_version": FORMAT_VERSION,
    }
    with atomic_folder(folder) as temporary:
        (temporary / WEIGHTS_FILE).write_bytes(weights)
        (temporary / CARD_FILE).write_text(_dump(complete), encoding="utf-8")
    return read_card(folder)


def load_folder(folder: str | Path) -> Potential:
    """Read a potential, on the CPU and in the type its card names, ready for evaluation.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, altered, from a newer version, or does not fit its card;
        the message names the file and the fault.
    """
    folder = Path(folder)
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    state = _read_weights(path, card)
    try:
        check_settings(card, state)
        with torch.random.fork_rng(devices=[]), building(state):
            potential = Potential(
                build(card.architecture, card.settings),
                card.elements,
                reference_energies=card.reference_energies_eV,
                energy_scale=card.energy_scale_eV,
                terms=build_terms(card.terms),
                card=card,
            )
    except Exception as error:  # settings that fit nothing can break a module anywhere
        raise CheckpointError(f"{folder / CARD_FILE}: {error or type(error).__name__}") from error
    try:
        check_weights(state, potential.state_dict(), getattr(torch, card.dtype))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    potential.load_state_dict(state)
    return potential.to(getattr(torch, card.dtype)).requires_grad_(False).eval()


def read_card(folder: str | Path) -> Card:
    """Read and check the card of a potential's folder, bringing an old one up to date.

    Raises
    ------
    CheckpointError
    """
    path = Path(folder) / CARD_FILE
    raw = _read(path, LARGEST_CARD_BYTES)
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or type(content.get("format_version")) is not int:
        raise CheckpointError(f"{path} is not the card of a potential: it has no format_version")
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


def golden_vectors(potential: Potential, structures: Sequence[Atoms]) -> list[GoldenVector]:
    """Results of a potential for small structures, computed in float64 on the CPU."""
    exact = potential.copy(device="cpu", dtype=torch.float64)
    vectors = []
    for atoms in structures:
        graph = AtomGraph.from_atoms(atoms, exact.cutoff, far_cutoff=exact.far_cutoff)
        with_stress = "stress" in exact.properties
        results = exact(graph, ("energy", "forces", *(("stress",) if with_stress else ())))
        stress = results["stress"][0] if with_stress else torch.tensor(torch.nan)
        vectors.append(
            GoldenVector(
                atomic_numbers=graph.atomic_numbers.tolist(),
                positions=atoms.get_positions().tolist(),
                cell=atoms.cell.array.tolist(),
                pbc=atoms.pbc.tolist(),
                charge=graph.charge.item(),
                spin=graph.spin.item(),
                energy=results["energy"].item(),
                forces=results["forces"].tolist(),
                stress=stress.tolist() if bool(torch.isfinite(stress).all()) else None,
            )
        )
    return vectors


def verify(potential: Potential) -> dict[str, float]:
    """Largest differences between a loaded potential and its card's golden vectors.

    Returns
    -------
    dict
        ``energy_eV_per_atom``, ``forces_eV_per_A`` and ``stress_eV_per_A3``. All are computed
        in float64 and should be below 1e-8 wherever the card was written.

    Raises
    ------
    CheckpointError
        If the card has no golden vectors.
    """
    if potential.card is None or not potential.card.golden:
        raise CheckpointError("the potential's card has no golden vectors to compare with")
    golden = potential.card.golden
    present = golden_vectors(potential, [vector.to_atoms() for vector in golden])
    largest = {"energy_eV_per_atom": 0.0, "forces_eV_per_A": 0.0, "stress_eV_per_A3": 0.0}
    for then, now in zip(golden, present, strict=True):
        differences = {
            "energy_eV_per_atom": abs(now.energy - then.energy) / len(then.atomic_numbers),
            "forces_eV_per_A": np.abs(np.subtract(now.forces, then.forces)).max(),
        }
        if then.stress is not None and now.stress is not None:
            differences["stress_eV_per_A3"] = np.abs(np.subtract(now.stress, then.stress)).max()
        for name, value in differences.items():
            largest[name] = max(largest[name], float(value))
    return largest


def _read(path: Path, limit_bytes: float) -> bytes:
    try:
        return read_regular_file(path, limit_bytes)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{path} cannot be read ({reason}); a potential is a folder with {CARD_FILE} and "
            f"{WEIGHTS_FILE}"
        ) from error


def _read_weights(path: Path, card: Card) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    # The file, its tensors, and the potential.
    content = _read(path, free_memory(torch.device("cpu")) / 3)
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise CheckpointError(
            f"{path} ({len(content)} bytes) has sha256 {found[:12]}…, its card says "
            f"{card.sha256[:12] or 'nothing'}…: it is truncated or was altered; fetch it again"
        )
    try:
        return load(content)
    except Exception as error:  # besides its own, of unknown types and impossible shapes
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


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


def _dump(content: dict[str, Any]) -> str:
    """JSON indented for reading, with rows of numbers kept on one line."""
    text = json.dumps(content, indent=1, allow_nan=False)
    item = r"(?:[-\d.e+]+|true|false)"
    number_rows = re.compile(rf"\[\s+({item}(?:,\s+{item})*)\s+\]")
    return number_rows.sub(lambda row: "[" + re.sub(r"\s+", " ", row.group(1)) + "]", text) + "\n"
