"""A potential on disk: a folder with ``card.json`` and ``model.safetensors``.

The :mod:`card <ase_geomformer.checkpoint.card>` says everything about the potential that is not a
weight. Nothing in the folder can run code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ase_geomformer.architectures.base import build
from ase_geomformer.checkpoint.card import (
    CARD_FILE,
    FORMAT_VERSION,
    WEIGHTS_FILE,
    Card,
    CheckpointError,
    DataSource,
    GoldenVector,
    card_text,
    read_card,
    read_part,
)
from ase_geomformer.checkpoint.consistency import building, check_card_settings, check_weights
from ase_geomformer.confidence.file import read_confidence
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.files import atomic_folder, recover_folder
from ase_geomformer.machine.memory import free_memory
from ase_geomformer.machine.version import package_version
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "CARD_FILE",
    "WEIGHTS_FILE",
    "Card",
    "CheckpointError",
    "DataSource",
    "GoldenVector",
    "golden_vectors",
    "load_folder",
    "read_card",
    "save_potential",
    "verify",
]


def save_potential(
    potential: Potential, folder: str | Path, card: Card, golden: Sequence[Atoms] = ()
) -> Card:
    """Write a potential as a folder, atomically, and return the completed card.

    Parameters
    ----------
    potential : Potential
    folder : path
        A potential that is there is replaced; other files in the folder stay.
    card : Card
        Name, description, data and figures; the rest is taken from the potential.
    golden : sequence of ase.Atoms
        Small structures whose results are stored, for later checks.
    """
    from safetensors.torch import save

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
        "package_version": package_version(),
        "format_version": FORMAT_VERSION,
    }
    with atomic_folder(folder, replaces=(CARD_FILE, WEIGHTS_FILE)) as temporary:
        (temporary / WEIGHTS_FILE).write_bytes(weights)
        (temporary / CARD_FILE).write_text(card_text(complete), encoding="utf-8")
    return read_card(folder)


def load_folder(folder: str | Path) -> Potential:
    """Read a potential, on the CPU and in the dtype of its card, ready for evaluation.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, altered, from a newer version, or does not fit its card;
        the message names the file and the fault.
    """
    folder = Path(folder)
    recover_folder(folder)
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    state = _read_weights(path, card)
    try:
        check_card_settings(card, state)
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
    try:
        potential.confidence = read_confidence(folder)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    return potential.to(getattr(torch, card.dtype)).requires_grad_(False).eval()


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
    card = potential.card
    if not isinstance(card, Card) or not card.golden:
        raise CheckpointError("the potential's card has no golden vectors to compare with")
    golden = card.golden
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


def _read_weights(path: Path, card: Card) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    # The file, its tensors, and the potential.
    content = read_part(path, free_memory(torch.device("cpu")) / 3)
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
