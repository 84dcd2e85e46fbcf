"""Infrared intensities of vibrations: exact ones, finite differences, ASE's, and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.vibrations import Infrared

from ase_geomformer import PotentialCalculator
from ase_geomformer.infrared.spectrum import KM_PER_MOL
from ase_geomformer.recipes import VibrationsResult, VibrationsSettings, vibrations

STIFFNESS, CHARGE = 20.0, 0.3


class ChargedSpring(Calculator):
    """Two atoms of opposite charges on a spring."""

    implemented_properties = ["energy", "forces", "dipole"]  # noqa: RUF012

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        bond = atoms.positions[1] - atoms.positions[0]
        stretch = np.linalg.norm(bond) - 1.0
        pull = STIFFNESS * stretch * bond / np.linalg.norm(bond)
        self.results = {
            "energy": 0.5 * STIFFNESS * stretch**2,
            "forces": np.array([pull, -pull]),
            "dipole": CHARGE * bond,
        }


class Silent(ChargedSpring):
    """Promises a dipole that it does not give."""

    def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
        if name == "dipole":
            raise PropertyNotImplementedError("needs another setting")
        return super().get_property(name, atoms, allow_calculation)


@pytest.fixture
def pair() -> Atoms:
    return Atoms("HF", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def run(atoms: Atoms, potential: Any, **settings: Any) -> VibrationsResult:
    return vibrations(atoms, potential, VibrationsSettings(**settings), progress=False)


def test_two_charges_on_a_spring(pair: Atoms, tmp_path: Path) -> None:
    result = vibrations(
        pair, ChargedSpring(), VibrationsSettings(mode_frames=4), output=tmp_path, progress=False
    )
    reduced = pair.get_masses().prod() / pair.get_masses().sum()
    assert result.infrared is not None
    expected = KM_PER_MOL * CHARGE**2 / reduced
    assert result.infrared.intensities_km_per_mol == pytest.approx([expected], rel=1e-6)
    np.testing.assert_allclose(result.infrared.dipole_eA, [0, 0, CHARGE])
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["ir_intensities_km_per_mol"] == pytest.approx([expected], rel=1e-6)
    with np.load(tmp_path / "vibrations.npz") as arrays:
        assert arrays["polar_tensors_e"].shape == (2, 3, 3)
    assert (tmp_path / "infrared.png").stat().st_size > 5000
    for name in ("mode_001.extxyz", "mode_001.traj"):
        frames = read(tmp_path / "modes" / name, index=":")
        assert len(frames) == 4
        assert frames[1].info["ir_intensity_km_per_mol"] == pytest.approx(expected, rel=1e-6)
    listing = result.listing()
    assert listing.headings[-1] == "IR (km/mol)"
    assert listing.rows[0][-1] == f"{expected:.2f}"


def test_atoms_that_are_held_do_not_absorb(pair: Atoms) -> None:
    pair.set_constraint(FixAtoms([0]))
    found = run(pair, ChargedSpring()).infrared
    assert found is not None
    assert not found.polar_tensors_e[0].any()
    expected = KM_PER_MOL * CHARGE**2 / pair.get_masses()[1]
    assert found.intensities_km_per_mol.max() == pytest.approx(expected, rel=1e-5)


def test_where_there_is_no_dipole(pair: Atoms) -> None:
    nitrogen = Atoms("N2", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    emt = run(nitrogen, EMT(), relax=True)
    assert emt.infrared is None
    assert "IR" not in str(emt.listing().headings)
    assert run(pair, Silent()).infrared is None
    pair.set_cell([8.0] * 3)
    pair.pbc = True
    periodic = run(pair, ChargedSpring())
    assert periodic.infrared is None
    assert "no infrared intensities, as the dipole of a periodic structure" in periodic.reason


@pytest.mark.parametrize("name", ["H2O", "CO2", "H2CO"])
def test_so3lr_beside_finite_differences_and_ase(
    name: str, so3lr: Path | None, tmp_path: Path
) -> None:
    if so3lr is None:
        pytest.skip("SO3LR is not on this machine: ase-geomformer models get so3lr")
    calculator = PotentialCalculator(so3lr, device="cpu", dtype="float64")
    exact = run(molecule(name), calculator, relax=True, fmax=1e-4)
    assert exact.method == "exact"
    assert exact.infrared is not None
    strengths = exact.infrared.intensities_km_per_mol
    # All absorb, but for the symmetric stretch of CO2.
    silent = strengths < 0.1
    assert np.count_nonzero(silent) == (name == "CO2")
    differences = run(exact.atoms, calculator, hessian="finite-difference", fmax=1e-3)
    assert differences.infrared is not None
    np.testing.assert_allclose(
        differences.infrared.polar_tensors_e, exact.infrared.polar_tensors_e, atol=1e-4
    )
    np.testing.assert_allclose(
        differences.infrared.intensities_km_per_mol, strengths, rtol=2e-3, atol=0.02
    )
    atoms = exact.atoms
    atoms.calc = calculator
    theirs = Infrared(atoms, name=str(tmp_path / "ir"), delta=0.002)
    theirs.run()
    theirs.read()
    # Theirs are not projected: the last ones are the vibrations, in ascending order.
    theirs_km = theirs.intensities * theirs.intensity_prefactor("km/mol")[0]
    np.testing.assert_allclose(theirs_km[-len(strengths) :], strengths, rtol=5e-3, atol=0.05)
    np.testing.assert_allclose(
        theirs.get_frequencies()[-len(strengths) :].real, exact.frequencies_per_cm, atol=0.5
    )
