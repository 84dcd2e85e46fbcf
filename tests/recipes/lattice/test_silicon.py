"""Silicon with the potential that is shipped: the command line and the example."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ase.build import bulk
from ase.io import write

from ase_geomformer.cli import main
from ase_geomformer.registry import list_potentials

POTENTIAL = "so3krates-mlearn-si"

pytestmark = pytest.mark.skipif(
    POTENTIAL not in list_potentials(), reason=f"the potential {POTENTIAL} is not at hand"
)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write(tmp_path / "si.cif", bulk("Si"))
    return [
        "--potential",
        POTENTIAL,
        "--structure",
        str(tmp_path / "si.cif"),
        "--progress",
        "false",
    ]


def test_phonons_from_the_command_line(command: list[str], tmp_path: Path) -> None:
    output = tmp_path / "run"
    small = ["--supercell", "[-2,2,2,2,-2,2,2,2,-2]", "--mesh", "[6,6,6]", "--band_points", "5"]
    assert main(["phonons", *command, *small, "--output", str(output)]) == 0
    result = json.loads((output / "result.json").read_text())
    assert result["number_of_atoms_in_supercell"] == 64
    assert result["acoustic_gap_THz"] < 1e-4
    assert result["stable"] is True
    # Measured: 15.5 THz at Γ, 4.5 THz at X.
    assert result["frequencies_THz"]["Γ"][5] == pytest.approx(15.0, abs=1.0)
    assert result["frequencies_THz"]["X"][0] == pytest.approx(4.5, abs=0.5)
    assert result["provenance"]["dtype"] == "float64"
    assert yaml.safe_load((output / "settings.yaml").read_text())["mesh"] == [6, 6, 6]
    # Again with other temperatures, from its own settings.
    again = ["--config", str(output / "settings.yaml"), "--temperature_max_K", "500"]
    arguments = ["--output", str(output), "--resume", "--progress", "false"]
    assert main(["phonons", *again, *arguments]) == 0
    assert json.loads((output / "result.json").read_text())["temperatures_K"][-1] == 500.0


def test_example(root: Path, run_python: Callable, tmp_path: Path) -> None:
    script = root / "md_examples" / "silicon_phonons.py"
    output = tmp_path / "output"
    done = run_python(str(script), "--length", "10", "--output", str(output), cwd=tmp_path)
    assert "no imaginary modes" in done.stdout
    rows = dict(re.findall(r"^(\S)  ((?: *-?\d+\.\d+){6}) THz", done.stdout, flags=re.MULTILINE))
    assert float(rows["Γ"].split()[-1]) == pytest.approx(15.0, abs=1.0)
    assert (output / "bands.png").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["output"]
