"""i-PI with a potential: replicas in one batch, restarts, units and orientation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.io import read
from ase.units import Bohr, Hartree

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.engines.ipi import PathIntegralSettings, write_input
from ase_geomformer.engines.ipi.inputs import INPUT_FILE, forcefield

ETHANOL = "so3krates-rmd17-ethanol"
SETTINGS = PathIntegralSettings(beads=4, steps=6, log_interval=1, trajectory_interval=3,
                                checkpoint_interval=3)  # fmt: skip


def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.03, seed=1)
    return atoms


def run(folder: Path, file: str) -> None:
    program = Path(sys.executable).with_name("i-pi")
    done = subprocess.run(
        [sys.executable, program, file],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def properties(folder: Path) -> np.ndarray:
    return np.loadtxt(folder / "pimd.out", ndmin=2)


def test_the_input_says_what_the_settings_say(tmp_path):
    path = write_input(tmp_path, ethanol(), ETHANOL, SETTINGS)
    root = ElementTree.parse(path).getroot()
    assert root.find("total_steps").text.strip() == "6"
    assert root.find("system/initialize").get("nbeads") == "4"
    assert root.find("ffdirect/batch_size").text.strip() == "4"
    assert root.find("ffdirect").get("pbc") == "False"


def test_masses_are_those_of_the_isotopes(tmp_path):
    atoms = ethanol()
    masses = atoms.get_masses()
    masses[atoms.symbols == "H"] = 2.014
    atoms.set_masses(masses)
    root = ElementTree.parse(write_input(tmp_path, atoms, ETHANOL, SETTINGS)).getroot()
    written = [float(word) for word in root.find("system/beads/m").text.strip(" []").split(",")]
    np.testing.assert_allclose(np.array(written) * units._me / units._amu, masses, rtol=1e-12)


def test_the_input_of_ring_polymers_ends_with_the_thermostat(tmp_path):
    settings = PathIntegralSettings(method="rpmd", steps=9, log_interval=1, equilibration_steps=5)
    root = ElementTree.parse(write_input(tmp_path, ethanol(), ETHANOL, settings)).getroot()
    assert root.find("total_steps").text.strip() == "5"


def test_names_that_ipi_cannot_read_are_refused():
    with pytest.raises(ValueError, match="one of the characters"):
        forcefield(Path("structure.traj"), "my,potential", 4)


def test_crystals_are_turned_to_the_orientation_of_ipi(tmp_path):
    atoms = bulk("Si")
    write_input(tmp_path, atoms, "so3krates-mlearn-si", SETTINGS)
    turned = read(tmp_path / "structure.traj")
    assert np.allclose(np.triu(turned.cell.array, 1), 0.0)
    np.testing.assert_allclose(turned.cell.cellpar(), atoms.cell.cellpar())
    np.testing.assert_allclose(
        turned.get_all_distances(mic=True), atoms.get_all_distances(mic=True)
    )


class TestDriver:
    @pytest.fixture(autouse=True)
    def ipi(self):
        pytest.importorskip("ipi", reason="i-PI is not installed")

    def test_energy_forces_and_virial_are_the_calculators(self, tmp_path):
        from ase_geomformer.engines.ipi.driver import GeomformerDriver

        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.1, seed=2)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + [[0, 0, 0], [0.1, 0, 0], [0, 0.05, 0]]),
                       scale_atoms=True)  # fmt: skip
        atoms.write(tmp_path / "si.traj")
        driver = GeomformerDriver("so3krates-mlearn-si", str(tmp_path / "si.traj"))
        cell, place = atoms.cell.array.T / Bohr, atoms.positions.ravel() / Bohr
        (found, again) = driver([cell, cell], [place, place])
        energy, forces, virial, _ = driver(cell, place)
        assert found[0] == pytest.approx(energy)
        assert again[0] == pytest.approx(energy)
        atoms.calc = PotentialCalculator("so3krates-mlearn-si", dtype="float64", compile=False)
        assert energy * Hartree == pytest.approx(atoms.get_potential_energy())
        np.testing.assert_allclose(forces * Hartree / Bohr, atoms.get_forces(), atol=1e-9)
        expected = -atoms.get_stress(voigt=False) * atoms.get_volume()
        np.testing.assert_allclose(virial * Hartree, expected, atol=1e-8)

    def test_a_run_and_its_restart(self, tmp_path):
        write_input(tmp_path, ethanol(), ETHANOL, SETTINGS)
        run(tmp_path, INPUT_FILE)
        found = properties(tmp_path)
        assert found[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6][: len(found)]
        atoms = ethanol()
        atoms.calc = PotentialCalculator(ETHANOL, dtype="float64", compile=False)
        # i-PI's own electronvolt has eight digits.
        assert found[0, 5] == pytest.approx(atoms.get_potential_energy(), rel=3e-7)
        assert np.ptp(found[:, 2]) < 0.1
        assert (tmp_path / "RESTART").is_file()
        text = (tmp_path / "RESTART").read_text()
        (tmp_path / "RESTART").write_text(text.replace("<total_steps>6<", "<total_steps>9<"))
        run(tmp_path, "RESTART")
        assert properties(tmp_path)[-1, 0] >= 8
