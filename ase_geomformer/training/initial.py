"""Start of a training: the split data and the initial potential."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ase_geomformer.accuracy.comparison import check_elements
from ase_geomformer.architectures.base import Architecture, architecture_class, build
from ase_geomformer.checkpoint.allowance import Allowance, TooLargeError
from ase_geomformer.checkpoint.card import read_card
from ase_geomformer.data.frames import Frame, elements, geometry_checksum
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.reference import (
    ReferenceEnergies,
    fit_energies,
    force_rms,
    reference_energies,
)
from ase_geomformer.data.splits import Split, check_stored, split_frames
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.machine.display import Console
from ase_geomformer.machine.memory import free_host_memory
from ase_geomformer.physics import build_terms, neutralised
from ase_geomformer.potential import Potential
from ase_geomformer.registry import find_potential, load_potential
from ase_geomformer.settings.plain import settings_from
from ase_geomformer.training.edges import edge_table
from ase_geomformer.training.settings import ModelSettings, TrainSettings

# Of the fit of shifts, as for the reference energies themselves.
RIDGE = 1e-8
# eV per atom; energies that are off by more on average count from another zero.
OTHER_ZERO_EV = 0.1
# Of the frames without labels, how many are named.
TOLD = 5


def read_parts(settings: TrainSettings, stored: Path) -> tuple[dict[str, list[Frame]], Split]:
    """The frames of training, validation and test set, and the split.

    Parameters
    ----------
    settings : TrainSettings
    stored : Path
        The split of an earlier part of this run, which is used where it exists.

    Raises
    ------
    ValueError
        If the loss asks for a label that no frame to train with has, or one of them has none.
    """
    frames = read_frames(settings.data)
    if stored.exists():
        split = Split.load(stored)
        check_stored(split, len(frames), geometry_checksum(frames), str(stored))
    else:
        wanted = settings.split
        if settings.validation_data is not None:
            wanted = replace(wanted, validation=0)
        if settings.test_data is not None:
            wanted = replace(wanted, test=0)
        split = split_frames(frames, wanted)
    parts = split.take(frames)
    if settings.validation_data is not None:
        parts["validation"] = read_frames(settings.validation_data)
    if settings.test_data is not None:
        parts["test"] = read_frames(settings.test_data)
    for target in settings.loss.targets:
        if all(getattr(frame, target) is None for frame in parts["train"]):
            raise ValueError(
                f"the loss includes {target}, but no training frame has this label; set "
                f"loss.{target}.weight to 0, or data.{target}_key to the name of the label"
            )
    check_labelled(parts["train"], settings.loss.targets)
    return parts, split


def check_model(settings: ModelSettings) -> None:
    """Refuse hyperparameters and terms that cannot be, before data are read.

    Raises
    ------
    ValueError
        If the architecture or a term does not take its settings.
    """
    if settings.start_from is None:
        kind = architecture_class(settings.architecture).settings_class
        settings_from(settings.architecture, kind, settings.settings)
        build_terms(settings.terms)


def check_labelled(frames: Sequence[Frame], targets: Iterable[str]) -> None:
    """Refuse frames from which nothing can be learned.

    Raises
    ------
    ValueError
        If a frame has no label of any target; the message names the first ones.
    """
    targets = list(targets)
    bare = [frame for frame in frames if all(getattr(frame, t) is None for t in targets)]
    if bare:
        named = "; ".join(frame.where for frame in bare[:TOLD])
        more = "; and so on" if len(bare) > TOLD else ""
        raise ValueError(
            f"{len(bare)} of {len(frames)} training frames have none of the labels "
            f"{', '.join(targets)} ({named}{more}): label them (ase-geomformer label) or remove "
            "them"
        )


def initial_potential(
    settings: TrainSettings, frames: list[Frame], neighbors: Path, console: Console
) -> tuple[Potential, float]:
    """The potential before training, and the force scale of the data in eV/Å.

    A fresh architecture starts from the seed, with reference energies of the data and energies
    measured in units of the force scale; fine-tuning starts from another potential. Neighbour
    lists are kept in the folder ``neighbors``.
    """
    scale = force_rms(frames)
    if settings.model.start_from is None:
        potential, references = _fresh(settings, frames, neighbors, scale)
    else:
        potential, references = further(settings.model.start_from, settings.model, frames)
    console.print(references.table())
    potential = _freeze(potential, settings.model.freeze)
    return potential.to(getattr(torch, settings.run.dtype)).train(), scale


def with_ancestry(settings: TrainSettings) -> TrainSettings:
    """Settings whose card tells, for fine-tuning, what the potential to fine-tune is made of.

    Its training data and citations come before those given, its licence holds unless another is
    given. Told twice, as in the settings that a run has written, nothing changes.
    """
    if settings.model.start_from is None:
        return settings
    start, own = read_card(find_potential(settings.model.start_from)), settings.card
    card = replace(
        own,
        description=own.description
        or f"Fine-tuned from {start.name} (sha256 {start.sha256}): {start.description}",
        licence=own.licence or start.licence,
        citations=list(dict.fromkeys([*start.citations, *own.citations])),
        data=list(dict.fromkeys([*start.data, *own.data])),
    )
    return replace(settings, card=card)


def _fresh(
    settings: TrainSettings, frames: list[Frame], neighbors: Path, scale: float
) -> tuple[Potential, ReferenceEnergies]:
    model = settings.model
    if model.refit_references:
        raise ValueError(
            "model.refit_references is only for fine-tuning (finetune, or model.start_from); a new "
            "potential fits its reference energies to the data anyway"
        )
    references = reference_energies(frames, given=model.reference_energies_eV)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.run.seed)
        architecture = _built(model.architecture, _with_neighbors(settings, frames, neighbors))
    potential = Potential(
        architecture,
        elements(frames),
        reference_energies=references.energies,
        energy_scale=scale,
        terms=build_terms(model.terms),
    )
    return potential, references


def _built(name: str, settings: dict[str, Any]) -> Architecture:
    """An architecture, refused as soon as building it asks for more than the free memory.

    What it asks for in all is some 50 bytes for each weight; training takes 24, and the graphs.
    """
    try:
        with Allowance(free_host_memory()):
            return build(name, settings)
    except TooLargeError as error:
        raise ValueError(
            f"{name} with these model.settings is larger than the free memory: {error}; give "
            "smaller widths or fewer layers"
        ) from None


def further(
    name: str, model: ModelSettings, frames: list[Frame]
) -> tuple[Potential, ReferenceEnergies]:
    """A potential to fine-tune, with reference energies that fit the frames."""
    start = load_potential(name)
    start = start.with_terms(neutralised(start.terms_settings))
    check_elements(start, frames)
    given = model.reference_energies_eV or {}
    energies = {**dict.fromkeys(start.symbols, 0.0), **start.reference_energies, **given}
    origins = {symbol: "given" if symbol in given else name for symbol in energies}
    if not given:
        left = _energies_left(start, frames)
        if model.refit_references or _is_other_zero(left):
            for symbol, shift in fit_energies(left, {}, elements(frames), ridge=RIDGE).items():
                energies[symbol] += shift
                origins[symbol] = "refitted"
    potential = Potential(
        start.architecture,
        start.symbols,
        reference_energies=energies,
        energy_scale=start.energy_scale,
        terms=build_terms(start.terms_settings),
    )
    potential.load_state_dict(start.state_dict())
    return potential, replace(reference_energies(frames, given=energies), origins=origins)


def _energies_left(potential: Potential, frames: list[Frame]) -> list[tuple[Frame, float]]:
    """What a potential leaves of labelled energies, eV, by frame."""
    labelled = [frame for frame in frames if frame.energy is not None]
    predicted = evaluate_many([frame.atoms for frame in labelled], potential, ("energy",))
    return [
        (frame, float(frame.energy or 0.0) - result["energy"])
        for frame, result in zip(labelled, predicted, strict=True)
    ]


def _is_other_zero(left: list[tuple[Frame, float]]) -> bool:
    """Whether energies are so far off that they count from another zero."""
    per_atom = [energy / len(frame.atoms) for frame, energy in left]
    return bool(left) and abs(float(np.mean(per_atom))) > OTHER_ZERO_EV


def _with_neighbors(
    settings: TrainSettings, frames: list[Frame], neighbors: Path
) -> dict[str, Any]:
    """Architecture settings, with the mean number of neighbours computed where it is needed."""
    given = dict(settings.model.settings)
    defaults = {
        entry.name: entry.default
        for entry in fields(architecture_class(settings.model.architecture).settings_class)
    }
    wanted = {**defaults, **given}
    if "avg_num_neighbors" in wanted and wanted["avg_num_neighbors"] is None:
        table = edge_table(frames, wanted["cutoff"], cache=neighbors)
        num_atoms = sum(len(frame.atoms) for frame in frames)
        given["avg_num_neighbors"] = float(table.counts.sum()) / num_atoms
    return given


def _freeze(potential: Potential, patterns: list[str]) -> Potential:
    """Freeze the parameters whose names match a pattern."""
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
        raise ValueError(f"freeze: {patterns} leaves no parameter to train")
    return potential
