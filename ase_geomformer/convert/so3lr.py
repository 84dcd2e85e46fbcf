"""SO3LR, the published general potential for molecules and biomolecules, as one of ours.

A. Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025). The checkpoint comes with the so3lr
package (https://github.com/general-molecular-simulations/so3lr, MIT licence) as ``params.pkl``
and ``hyperparameters.json``, and with its PyTorch port so3krates-torch (MIT licence) as
``so3lr.model``; nothing of it is part of this package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule

from ase_geomformer.checkpoint.folder import Card, DataSource, save_potential
from ase_geomformer.convert.so3krates_flax import so3krates_from_flax
from ase_geomformer.convert.so3lr_files import find_file, read_files
from ase_geomformer.convert.so3lr_torch import flax_from_torch, is_torch
from ase_geomformer.machine.files import expanded
from ase_geomformer.potential import Potential

PUBLICATION = "A. Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025)"
# The elements of its training data; the tables have rows for others, with random numbers.
ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl")
# As the published calculator has them, Å.
LONG_RANGE_CUTOFF = 12.0
SWITCH_WIDTH = 2.0


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
        One of: the ``params.pkl`` of the so3lr package with its ``hyperparameters.json``; the
        ``so3lr.model`` of the PyTorch port (so3krates-torch), or that package's wheel; the
        parameters as safetensors, under their original names joined with dots or under those of
        the port, with ``hyperparameters.json``; or a folder that holds one of them. Nothing in a
        file is run, and nothing of either package is imported.
    hyperparameters : path or mapping, optional
        ``hyperparameters.json`` or its content, where the checkpoint needs it; the file beside it
        when left out.
    long_range_cutoff : float, optional
        Of electrostatics and dispersion, Å; None for no cutoff. It can be changed whenever the
        potential is loaded.

    Raises
    ------
    FileNotFoundError
        If a file is not there, or a folder holds none of them.
    ValueError
        If a file is not what it should be, or a parameter is missing.
    """
    settings, weights = read_files(find_file(expanded(path)), hyperparameters)
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


def save_so3lr(
    path: str | os.PathLike[str],
    folder: Path,
    hyperparameters: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    long_range_cutoff: float | None = LONG_RANGE_CUTOFF,
) -> Potential:
    """Convert SO3LR's checkpoint into a potential's folder; arguments and errors of :func:`so3lr`.

    The folder gives the potential its name, and is replaced as a whole if it exists.
    """
    potential = so3lr(path, hyperparameters, long_range_cutoff=long_range_cutoff)
    save_potential(potential, folder, so3lr_card(folder.name), golden_structures(long_range_cutoff))
    return potential


def so3lr_card(name: str) -> Card:
    """What is known of SO3LR, for its card."""
    return Card(
        name,
        description=(
            "SO3LR: a general potential for molecules, molecular liquids and biomolecules, with "
            "electrostatics and dispersion. Energies are relative: only differences between "
            "structures of the same atoms mean anything. Not for small inorganic molecules of P, "
            "S, Cl and F (P2 comes apart; PF3, SF2 or F2 are off by 0.1 Å and more), nor for "
            "metals, salts, breaking bonds, condensed CO2, and crystals without hydrogen bonds."
        ),
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
