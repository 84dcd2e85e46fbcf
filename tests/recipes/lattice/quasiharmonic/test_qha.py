"""Quasi-harmonic approximation: thermodynamic identities and phonopy by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import phonopy
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.recipes.lattice.quasiharmonic.figure import draw_gruneisen, draw_qha
from ase_geomformer.recipes.lattice.quasiharmonic.result import QHAResult
from ase_geomformer.recipes.lattice.quasiharmonic.run import qha
from ase_geomformer.recipes.lattice.quasiharmonic.settings import QHASettings

PHONONS = PhononSettings(
    supercell=[2, 2, 2], mesh=[7, 7, 7], band_points=4,
    temperature_max_K=600.0, temperature_step_K=20.0,
)  # fmt: skip
SETTINGS = QHASettings(
    volumes=7, smallest_volume=0.97, largest_volume=1.06, gruneisen_mesh_length_A=12.0,
    phonons=PHONONS,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qha") / "run"


@pytest.fixture(scope="module")
def copper(folder: Path) -> QHAResult:
    return qha(bulk("Cu"), EMT(), SETTINGS, output=folder, progress=False)


def test_thermal_expansion_obeys_thermodynamics(copper: QHAResult) -> None:
    assert copper.converged, copper.reason
    row = int(np.argmin(np.abs(copper.temperatures_K - 300.0)))
    volume = copper.equilibrium_volumes_A3
    # Zero-point motion alone makes the crystal larger.
    assert volume[0] > copper.static_volume_A3
    slope = np.gradient(np.log(volume), copper.temperatures_K)[row]
    assert copper.thermal_expansion_per_K[row] == pytest.approx(slope, rel=1e-3)
    # Cp - Cv = alpha^2 B V T; Cv from the phonons near that volume.
    product = (
        copper.thermal_expansion_per_K**2 * copper.bulk_modulus_GPa * units.GPa
    ) * volume * copper.temperatures_K  # fmt: skip
    constant_volume = copper.heat_capacity_eV_per_K - product
    assert 0.9 * 3 * units.kB < constant_volume[row] < 3 * units.kB
    # gamma = alpha B V / Cv
    gamma = (
        copper.thermal_expansion_per_K[row] * copper.bulk_modulus_GPa[row] * units.GPa
    ) * volume[row] / constant_volume[row]  # fmt: skip
    assert copper.thermal_gruneisen[row] == pytest.approx(gamma, rel=0.05)


def test_mode_gruneisen_parameters_are_slopes_of_frequencies(
    copper: QHAResult, folder: Path
) -> None:
    modes = copper.modes
    phonons = [phonopy.load(folder / f"phonopy-{n}.yaml", log_level=0) for n in (2, 3)]
    for phonon in phonons:
        phonon.symmetrize_force_constants(show_drift=False)
    point = int(np.argmax(modes.weights))
    frequencies = [p.run_qpoints([modes.q_points[point]]).frequencies[0] for p in phonons]
    volumes = [phonon.primitive.volume for phonon in phonons]
    assert volumes[0] < copper.static_volume_A3 * 1.001 < volumes[1] * 1.001
    slope = -np.log(frequencies[1] / frequencies[0]) / np.log(volumes[1] / volumes[0])
    np.testing.assert_allclose(np.sort(modes.parameters[point]), np.sort(slope), rtol=0.05)
    average = np.nanmean(modes.parameters)
    assert copper.thermal_gruneisen[10] == pytest.approx(average, rel=0.1)


def test_gruneisen_parameters_are_drawn_along_the_path_of_the_bands(copper: QHAResult) -> None:
    bands, modes = copper.bands, copper.modes
    # The path of fcc jumps from U to K, where distances must not go on.
    starts = [part[0] for part in bands.distances[1:]]
    assert starts == pytest.approx([part[-1] for part in bands.distances[:-1]])
    for own, path in zip(modes.band_distances, bands.distances, strict=True):
        np.testing.assert_array_equal(own, path)
    for own, path in zip(modes.band_frequencies_THz, bands.frequencies_THz, strict=True):
        np.testing.assert_allclose(np.sort(own), np.sort(path), atol=1e-3)
    axes = draw_gruneisen(copper).axes[0]
    drawn = np.concatenate([np.ravel(line.get_xdata()) for line in axes.lines[: 3 * len(starts)]])
    assert axes.get_xlim()[1] == pytest.approx(bands.distances[-1][-1])
    assert drawn.max() <= axes.get_xlim()[1] + 1e-9


def test_free_energies_are_drawn_with_their_equation_of_state(copper: QHAResult) -> None:
    axes = draw_qha(copper).axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) == 100]
    assert len(curves) == 6
    volumes, energies = (np.asarray(part) for part in curves[0].get_data())
    lowest = volumes[np.argmin(energies)]
    assert lowest == pytest.approx(copper.equilibrium_volumes_A3[0], rel=2e-3)


def test_files(copper: QHAResult, folder: Path) -> None:
    rows = np.loadtxt(folder / "e-v.dat")
    np.testing.assert_allclose(rows[:, 0], copper.volumes_A3, atol=1e-9)
    np.testing.assert_allclose(rows[:, 1], copper.energies_eV, atol=1e-9)
    result = json.loads((folder / "result.json").read_text())
    assert result["bulk_modulus_GPa"][5] == pytest.approx(copper.bulk_modulus_GPa[5])
    for name in ("qha.png", "gruneisen.png", "qha.npz"):
        assert (folder / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"volumes": 4}, "volumes = 4 must be from 5 to 101"),
        ({"smallest_volume": 1.1}, "from 0.1 to 0.9999"),
        ({"phonons": PhononSettings(force_constants="md")}, "from md depend on the temperature"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QHASettings(**settings)
