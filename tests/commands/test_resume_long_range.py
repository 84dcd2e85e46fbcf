"""Runs from before there was a choice of long-range sums had the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from ase.build import molecule
from ase.io import write

from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential

SETTINGS = {
    "cutoff": 4.0,
    "num_features": 8,
    "num_layers": 1,
    "num_heads": 2,
    "degrees": (1,),
    "num_radial_basis": 4,
    "avg_num_neighbors": 4.0,
    "charge_width": 4,
}


def command(folder: Path, terms: dict[str, dict[str, float]], committee: bool) -> list[str]:
    """Dynamics of water by a potential with such terms, or by a committee of two."""
    torch.manual_seed(0)
    potential = Potential(build("so3krates", SETTINGS), ["H", "O"], terms=build_terms(terms))
    water = molecule("H2O")
    names = ("one", "two") if committee else ("one",)
    for name in names:
        save_potential(potential, folder / "potentials" / name, Card(name), [water])
    write(folder / "water.xyz", water)
    path = folder / "potentials" / ("" if committee else "one")
    words = ["md", "--potential", str(path), "--structure", str(folder / "water.xyz")]
    words += ["--output", str(folder / "run"), "--steps", "2", "--timestep_fs", "0.01"]
    return [*words, "--log_interval", "1", "--progress", "false"]


def without_long_range(folder: Path) -> None:
    """Make the run's settings those of an earlier version."""
    path = folder / "run" / "settings.yaml"
    stored = yaml.safe_load(path.read_text())
    del stored["long_range"]
    path.write_text(yaml.safe_dump(stored))


@pytest.mark.parametrize("committee", [False, True])
def test_such_a_run_does_not_change_its_sums(
    committee: bool, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = command(tmp_path, {"electrostatics": {}}, committee)
    main([*words, "--long_range", "published"])
    without_long_range(tmp_path)
    capsys.readouterr()
    assert main([*words, "--resume"]) == 2
    message = capsys.readouterr().err
    assert "cannot resume: long_range was 'published' in the run" in message
    assert "is 'auto' now" in message
    assert main([*words, "--resume", "--long_range", "published"]) == 0


def test_without_long_range_terms_there_is_nothing_to_choose(tmp_path: Path) -> None:
    words = command(tmp_path, {"zbl": {}}, committee=False)
    main(words)
    without_long_range(tmp_path)
    assert main([*words, "--resume"]) == 0
