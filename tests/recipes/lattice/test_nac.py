"""Splitting of longitudinal and transverse modes, against published force sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import phonopy
import pytest
from phonopy import Phonopy

from ase_geomformer.recipes.lattice.cells import to_ase
from ase_geomformer.recipes.lattice.nac import BornCharges, from_charges, nac_parameters
from ase_geomformer.recipes.lattice.phonons.run import phonons
from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from tests.recipes.lattice.harmonic import HarmonicCrystal

REFERENCES = ("NaCl", "MgO")


@pytest.fixture(scope="module", params=REFERENCES)
def reference(request: pytest.FixtureRequest, shared: Path) -> tuple[str, Path, Phonopy]:
    """Published force sets with Born charges, as phonopy reads them by itself."""
    folder = shared / "data" / "phonopy_refs" / request.param
    found = phonopy.load(
        folder / "phonopy_disp.yaml",
        force_sets_filename=folder / "FORCE_SETS",
        born_filename=folder / "BORN",
        primitive_matrix="F",
        is_compact_fc=False,
        log_level=0,
    )
    found.symmetrize_force_constants(show_drift=False)
    return request.param, folder, found


def test_longitudinal_and_transverse_modes_are_those_of_the_reference(
    reference: tuple[str, Path, Phonopy], shared: Path
) -> None:
    name, folder, expected = reference
    crystal = to_ase(expected.unitcell)
    calculator = HarmonicCrystal(to_ase(expected.supercell), expected.force_constants)
    settings = {
        "supercell": expected.supercell_matrix.ravel().tolist(), "relax": False, "mesh": [4, 4, 4],
        "band_points": 6,
    }  # fmt: skip
    bare = phonons(crystal, calculator, PhononSettings(**settings), progress=False)
    polar = PhononSettings(nac="born", born_file=str(folder / "BORN"), **settings)
    found = phonons(crystal, calculator, polar, progress=False)
    # The published frequencies, without the term.
    file = shared / "data" / "phonopy_refs" / "dft_phonon_frequencies_THz.json"
    published = json.loads(file.read_text())[f"{name}_noNAC"]["freq_THz"]
    for point, label in (("Γ", "G"), ("X", "X"), ("L", "L")):
        np.testing.assert_allclose(bare.bands.at(point), published[label], atol=5e-3)
    assert np.ptp(bare.bands.at("Γ")[3:]) < 1e-4
    # With it, as phonopy has them, along the whole path.
    direction = found.bands.q_points[0][1]
    at_gamma = expected.run_qpoints([[0, 0, 0]], nac_q_direction=direction).frequencies[0]
    np.testing.assert_allclose(found.bands.at("Γ"), at_gamma, atol=1e-3)
    inside = found.bands.q_points[0][1:]
    along = expected.run_qpoints(inside).frequencies
    np.testing.assert_allclose(found.bands.frequencies_THz[0][1:], along, atol=1e-3)
    transverse, longitudinal = found.bands.at("Γ")[3], found.bands.at("Γ")[5]
    assert transverse == pytest.approx(bare.bands.at("Γ")[3], abs=1e-3)
    assert longitudinal > 1.4 * transverse
    assert found.acoustic_gap_THz < 1e-4


def test_splitting_is_that_of_a_plasma_of_ions(reference: tuple[str, Path, Phonopy]) -> None:
    _, _, expected = reference
    born = BornCharges(expected.nac_params["born"], expected.nac_params["dielectric"])
    frequencies = expected.run_qpoints([[0, 0, 0]], nac_q_direction=[0, 1, 1]).frequencies[0]
    # omega_L^2 - omega_T^2 = 4 pi e^2 Z^2 / (epsilon V mu) in a cubic crystal of two ions.
    charge, dielectric = born.charges_e[0, 0, 0], born.dielectric[0, 0]
    mass = 1.0 / np.sum(1.0 / np.array(expected.primitive.masses))
    # 1 e^2 / (4 pi epsilon_0 amu Å^3) is (2 pi 1 THz)^2 times this.
    scale = 14.399645 * 9648.5332 / (2 * np.pi) ** 2
    plasma = 4 * np.pi * scale * charge**2 / (dielectric * expected.primitive.volume * mass)
    assert frequencies[5] ** 2 - frequencies[3] ** 2 == pytest.approx(plasma, rel=2e-3)


def test_charges_of_the_potential(reference: tuple[str, Path, Phonopy]) -> None:
    _, _, expected = reference
    crystal = to_ase(expected.primitive)
    charges = np.array([0.9, -0.9])
    calculator = HarmonicCrystal(to_ase(expected.supercell), expected.force_constants, charges)
    unit = to_ase(expected.unitcell)
    settings = {
        "supercell": expected.supercell_matrix.ravel().tolist(), "relax": False, "mesh": [2, 2, 2],
        "band_points": 3,
    }  # fmt: skip
    chosen = PhononSettings(nac="charges", dielectric=2.0, **settings)
    found = phonons(unit, calculator, chosen, progress=False)
    given = from_charges(charges, 2.0)
    same = phonons(unit, calculator, PhononSettings(**settings), born=given, progress=False)
    np.testing.assert_allclose(found.bands.at("Γ"), same.bands.at("Γ"), atol=1e-9)
    assert found.bands.at("Γ")[5] > 1.05 * found.bands.at("Γ")[3]
    assert len(crystal) == len(given.charges_e)


def test_bad_born_charges(reference: tuple[str, Path, Phonopy], tmp_path: Path) -> None:
    _, _, expected = reference
    with pytest.raises(ValueError, match=r"add up to zero .* 0.250 e per atom"):
        from_charges(np.array([1.0, -0.5]), 1.0)
    with pytest.raises(ValueError, match="array .atoms, 3, 3."):
        BornCharges(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="dielectric tensor"):
        from_charges(np.array([1.0, -1.0]), -1.0)
    with pytest.raises(ValueError, match="for 4 atoms, and the primitive cell has 2"):
        nac_parameters(from_charges(np.array([1, 1, -1, -1]), 1.0), expected.primitive, 1e-5)
    calculator = HarmonicCrystal(to_ase(expected.supercell), expected.force_constants)
    settings = PhononSettings(
        supercell=expected.supercell_matrix.ravel().tolist(), relax=False, nac="born",
        born_file=str(tmp_path / "BORN"),
    )  # fmt: skip
    with pytest.raises(FileNotFoundError, match="no file of Born charges"):
        phonons(to_ase(expected.unitcell), calculator, settings, progress=False)
    (tmp_path / "BORN").write_text("14.4\nnonsense\n")
    with pytest.raises(ValueError, match="cannot be read as Born charges of 2 atoms"):
        phonons(to_ase(expected.unitcell), calculator, settings, progress=False)
