"""A training for its speed alone: frames of ethanol, labelled by the potential that ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ase_geomformer import evaluate_many
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.settings_file import from_yaml

NAME = "so3krates-rmd17-ethanol"


def ethanol_settings(folder: Path, frames: int) -> TrainSettings:
    """The settings that the potential was trained with, of data written into a folder.

    Parameters
    ----------
    folder : Path
    frames : int
        How many frames there are; a tenth of them validates.
    """
    rng = np.random.default_rng(0)
    structures = [molecule("CH3CH2OH") for _ in range(frames)]
    for atoms in structures:
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
    for atoms, results in zip(structures, evaluate_many(structures, NAME), strict=True):
        atoms.calc = SinglePointCalculator(atoms, **results)
    file = folder / "ethanol.extxyz"
    write(file, structures)
    settings = from_yaml(Path(__file__).parents[1] / "potentials" / NAME / "train.yaml")
    split = replace(settings.split, train=frames - frames // 10, validation=frames // 10)
    return replace(settings, data=DataSettings(path=str(file)), split=split)
