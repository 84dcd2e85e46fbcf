"""SO3LR, the published general potential for molecules and biomolecules, as one of ours.

A. Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025). The checkpoint comes with the so3lr
package (https://github.com/general-molecular-simulations/so3lr, MIT licence) as ``params.pkl``
and ``hyperparameters.json``; nothing of it is part of this package.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule

from ase_geomformer.checkpoint.folder import Card, DataSource
from ase_geomformer.convert.restricted_pickle import read_arrays
from ase_geomformer.convert.so3krates_flax import so3krates_from_flax
from ase_geomformer.convert.so3lr_torch import flax_from_torch, is_torch
from ase_geomformer.potential import Potential

PUBLICATION = "A. Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025)"
# The elements of its training data; the tables have rows for others, with random numbers.
ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl")
# As the published calculator has them, Å.
LONG_RANGE_CUTOFF = 12.0
SWITCH_WIDTH = 2.0
HYPERPARAMETERS_FILE = "hyperparameters.json"
CHECKPOINT_FILE = "params.pkl"


def so3lr(
    path: str | os.PathLike[str],
    hyperparameters: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    long_range_cutoff: float | None = LONG_RANGE_CUTOFF,
) -> Potential:
    """SO3LR from its published checkpoint, in the type of its weights.

    Energies are without the mean energy per atom of the training data (-163.6 eV for every
    element), as in the original; the model was trained on forces, and only differences of energies
    of the same atoms mean anything.

    Parameters
    ----------
    path : path
        The official ``params.pkl``, which is read without running anything in it, or the folder
        it lies in; or the same parameters as safetensors, under their original names joined with
        dots or under those of the PyTorch port.
    hyperparameters : path or mapping, optional
        ``hyperparameters.json`` or its content; the file beside the checkpoint when left out.
    long_range_cutoff : float, optional
        Of electrostatics and dispersion, Å; None for no cutoff. It can be changed whenever the
        potential is loaded.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If a file is not what it should be, or a parameter is missing.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / CHECKPOINT_FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {str(path)!r}")
    settings = _hyperparameters(hyperparameters, path)
    weights = _weights(path)
    if is_torch(weights):
        shifts = settings["data"].get("energy_shifts", {})
        mean = np.array([float(shifts.get(str(number), 0.0)) for number in range(119)])
        weights = flax_from_torch(weights, settings["model"]["num_layers"], mean)
    config = {
        **settings["model"],
        "avg_num_neighbors": settings["data"]["avg_num_neighbors"],
        "cutoff_lr": long_range_cutoff,
        "dispersion_energy_cutoff_lr_damping": SWITCH_WIDTH,
    }
    potential = so3krates_from_flax(config, weights, ELEMENTS)
    single = all(array.dtype == np.float32 for array in weights.values())
    return potential.to(torch.float32 if single else torch.float64)


def _hyperparameters(
    given: str | os.PathLike[str] | Mapping[str, Any] | None, checkpoint: Path
) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return _checked(given, "hyperparameters")
    path = checkpoint.with_name(HYPERPARAMETERS_FILE) if given is None else Path(given)
    path = path.expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {str(path)!r}: give the {HYPERPARAMETERS_FILE} that is published with "
            "the checkpoint"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    return _checked(content, str(path))


def _checked(content: Any, name: str) -> Mapping[str, Any]:
    """The content, refused where what we read of it is not there."""
    try:
        _ = content["model"]["num_layers"], content["data"]["avg_num_neighbors"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name} is no configuration of SO3LR: {error} is missing") from error
    checked: Mapping[str, Any] = content
    return checked


def _weights(path: Path) -> dict[str, np.ndarray]:
    if path.suffix != ".safetensors":
        return read_arrays(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def so3lr_card(name: str) -> Card:
    """What is known of SO3LR, for its card."""
    return Card(
        name,
        description="SO3LR: molecules and biomolecules, with electrostatics and dispersion",
        licence="MIT (c) 2024 Thorben Frank",
        citations=[PUBLICATION, "J. T. Frank et al., Nat. Commun. 15, 6539 (2024)"],
        data=[
            DataSource(
                name="SO3LR training data",
                licence="see the publication",
                citation=PUBLICATION,
                level_of_theory="PBE0+MBD",
                frames=3_846_600,
            )
        ],
    )


def golden_structures(long_range_cutoff: float | None) -> list[Atoms]:
    """Small structures for the card: a molecule, an ion, a radical, and a box if it can be one."""
    water = molecule("H2O")
    hydroxide = Atoms("OH", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.97]], info={"charge": -1})
    oxygen = molecule("O2")
    oxygen.info["spin"] = 3
    structures = [molecule("CH3CH2OH"), hydroxide, oxygen]
    if long_range_cutoff is not None:
        box = Atoms(cell=[5.0, 5.2, 5.4], pbc=True) + water
        water.rotate(70.0, "x")
        water.translate([2.4, 2.5, 2.6])
        structures.append(box + water)
    return structures
