"""What a training starts from: divided frames, and a potential with weights to improve."""

from __future__ import annotations

from dataclasses import fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ase_geomformer.architectures.base import architecture_class, build
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.registry import load_potential
from ase_geomformer.training.edges import edge_table
from ase_geomformer.training.frames import Frame, elements, fingerprint
from ase_geomformer.training.readers import read_frames
from ase_geomformer.training.reference import force_rms, reference_energies
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.splits import Split, check_stored, split_frames

NEIGHBOR_FOLDER = "neighbors"


def read_parts(settings: TrainSettings, folder: Path) -> dict[str, list[Frame]]:
    """The frames to train, validate and test with; the split is stored in the run folder.

    A run that is resumed reads its split back.
    """
    frames = read_frames(settings.data)
    path = folder / "split.json"
    if path.exists():
        split = Split.load(path)
        check_stored(split, len(frames), fingerprint(frames), str(path))
    else:
        wanted = settings.split
        if settings.validation_data is not None:
            wanted = replace(wanted, validation=0)
        if settings.test_data is not None:
            wanted = replace(wanted, test=0)
        split = split_frames(frames, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        split.save(path)
    parts = split.take(frames)
    if settings.validation_data is not None:
        parts["validation"] = read_frames(settings.validation_data)
    if settings.test_data is not None:
        parts["test"] = read_frames(settings.test_data)
    return parts


def initial_potential(
    settings: TrainSettings, frames: list[Frame], folder: Path, console: Console
) -> tuple[Potential, float]:
    """The potential before training, and the force scale of the data in eV/Å.

    A fresh architecture starts from the seed, with reference energies of the data and energies
    measured in units of the force scale; fine-tuning starts from another potential.
    """
    model = settings.model
    references = reference_energies(frames, given=model.reference_energies_eV)
    console.print(references.table())
    scale = force_rms(frames)
    dtype = getattr(torch, settings.run.dtype)
    if model.start_from is not None:
        start = load_potential(model.start_from)
        start.check_elements(number for f in frames for number in f.atoms.get_atomic_numbers())
        architecture, terms = start.architecture, start.terms_settings
        energy_scale = start.energy_scale
        energies = start.reference_energies
        if model.reference_energies_eV is not None:
            energies = {**energies, **references.energies}
        known = start.symbols
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.run.seed)
            architecture = build(model.architecture, _with_neighbors(settings, frames, folder))
        terms, energy_scale = model.terms, scale
        energies, known = references.energies, elements(frames)
    potential = Potential(
        architecture,
        known,
        reference_energies=energies,
        energy_scale=energy_scale,
        terms=build_terms(terms),
    )
    if model.start_from is not None:
        potential.load_state_dict(start.state_dict())
    return _freeze(potential, model.freeze).to(dtype).train(), scale


def _with_neighbors(settings: TrainSettings, frames: list[Frame], folder: Path) -> dict[str, Any]:
    """Architecture settings, with the mean number of neighbours measured where it is wanted."""
    given = dict(settings.model.settings)
    defaults = {
        entry.name: entry.default
        for entry in fields(architecture_class(settings.model.architecture).settings_class)
    }
    wanted = {**defaults, **given}
    if "avg_num_neighbors" in wanted and wanted["avg_num_neighbors"] is None:
        table = edge_table(frames, wanted["cutoff"], cache=folder / NEIGHBOR_FOLDER)
        num_atoms = sum(len(frame.atoms) for frame in frames)
        given["avg_num_neighbors"] = float(table.counts.sum()) / num_atoms
    return given


def _freeze(potential: Potential, patterns: list[str]) -> Potential:
    """Keep the parameters whose names match a pattern as they are."""
    potential.requires_grad_(True)
    names = [name for name, _ in potential.named_parameters()]
    for pattern in patterns:
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            raise ValueError(
                f"freeze: no parameter matches {pattern!r}; parameters are named like {names[0]!r}"
            )
        for name in matching:
            potential.get_parameter(name).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in potential.parameters()):
        raise ValueError(f"freeze: {patterns} leaves nothing to train")
    return potential
