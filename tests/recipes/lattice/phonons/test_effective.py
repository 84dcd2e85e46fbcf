"""Effective force constants from molecular dynamics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from ase_geomformer.recipes.lattice.cells import to_ase
from ase_geomformer.recipes.lattice.phonons.figure import draw_overlay
from ase_geomformer.recipes.lattice.phonons.run import phonons
from ase_geomformer.recipes.lattice.phonons.settings import EffectiveSettings, PhononSettings
from tests.recipes.lattice.harmonic import HarmonicCrystal

COARSE = {"supercell": [2, 2, 2], "relax": False, "mesh": [4, 4, 4], "band_points": 5}
DYNAMICS = EffectiveSettings(
    temperature_K=20.0, timestep_fs=5.0, equilibration_steps=50, frames=10, frame_interval=5
)


def test_effective_force_constants_of_a_harmonic_crystal_are_its_own(
    argon: Atoms, lennard_jones: LennardJones, tmp_path: Path
) -> None:
    expected = phonons(argon, lennard_jones, PhononSettings(**COARSE), progress=False)
    phonon = expected.phonon
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants(show_drift=False)
    harmonic = HarmonicCrystal(to_ase(phonon.supercell), phonon.force_constants)
    settings = PhononSettings(force_constants="md", md=DYNAMICS, **COARSE)
    found = phonons(argon, harmonic, settings, output=tmp_path / "run", progress=False)
    assert found.structures_evaluated == 10
    for ours, theirs in zip(
        found.bands.frequencies_THz, expected.bands.frequencies_THz, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert found.acoustic_gap_THz < 1e-5
    # The same frames again, though the calculator is gone.
    again = phonons(argon, harmonic, settings, output=tmp_path / "run", resume=True, progress=False)
    np.testing.assert_allclose(
        again.phonon.force_constants, found.phonon.force_constants, atol=1e-12
    )
    figure = draw_overlay({"0 K": expected, "20 K": found})
    assert len(figure.axes[0].get_legend().get_texts()) == 2


def test_a_warm_crystal_at_fixed_volume_is_stiffer(
    argon: Atoms, lennard_jones: LennardJones
) -> None:
    cold = phonons(argon, lennard_jones, PhononSettings(**COARSE), progress=False)
    dynamics = EffectiveSettings(
        temperature_K=60.0, timestep_fs=10.0, equilibration_steps=150, frames=60, frame_interval=8
    )
    settings = PhononSettings(force_constants="md", md=dynamics, **COARSE)
    warm = phonons(argon, lennard_jones, settings, progress=False)
    # Pairs repel more steeply than they attract.
    assert warm.modes.frequencies_THz.max() > 1.01 * cold.modes.frequencies_THz.max()


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="temperature_K = 0.0 must be positive"):
        EffectiveSettings(temperature_K=0.0)
    assert PhononSettings(md={"frames": 5}).md.frames == 5
