"""Samples before there is a potential."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import covalent_radii
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.sample_settings import SampleSettings
from ase_geomformer.learning.sampling import isolated_atoms, sample


@pytest.mark.parametrize("periodic", [False, True])
def test_isolated_atoms_are_known_as_such_and_have_hund_spins(periodic: bool) -> None:
    atoms = molecule("CH3OH", vacuum=3.0, pbc=periodic)
    found = isolated_atoms(atoms)
    assert [str(one.symbols) for one in found] == ["H", "C", "O"]
    assert [one.info["spin"] for one in found] == [2, 3, 3]
    assert all(Frame(one).is_isolated_atom for one in found)
    assert all(one.pbc.all() == periodic for one in found)


def test_samples_are_reproducible_and_of_the_numbers_asked_for() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.info["charge"] = 0
    settings = SampleSettings(modes=5, strains=4, dimers=6, max_strain=0.05, seed=3)
    first, second = sample(atoms, settings), sample(atoms, settings)
    assert {name: len(found) for name, found in first.items()} == {
        "isolated": 2, "modes": 5, "strains": 4, "dimers": 6,
    }  # fmt: skip
    for name, structures in first.items():
        for one, other in zip(structures, second[name], strict=True):
            assert (one.positions == other.positions).all()
    for one in first["strains"]:
        strain = np.linalg.solve(atoms.cell.array, one.cell.array) - np.eye(3)
        np.testing.assert_allclose(strain, strain.T, atol=1e-12)
        assert 0.0 < np.abs(strain).max() <= 0.05
    volumes = {round(one.get_volume(), 6) for one in first["strains"]}
    assert len(volumes) == 4


def test_dimers_span_the_contacts_of_all_elements() -> None:
    found = sample(molecule("CH3OH"), SampleSettings(isolated=False, modes=0, dimers=18))["dimers"]
    ratios: dict[str, list[float]] = {}
    for pair in found:
        length = pair.get_distance(0, 1) / covalent_radii[pair.numbers].sum()
        ratios.setdefault(pair.get_chemical_formula(), []).append(length)
        assert (pair.numbers.sum() + pair.info["spin"]) % 2 == 1
    assert set(ratios) == {"H2", "CH", "HO", "C2", "CO", "O2"}
    assert all(min(r) == pytest.approx(0.7) and max(r) <= 1.3 + 1e-9 for r in ratios.values())


def test_molecules_have_no_strains() -> None:
    assert sample(molecule("H2O"), SampleSettings(strains=5))["strains"] == []


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "water.xyz", molecule("H2O"), format="extxyz")
    argv = ["sample", "--structure", str(tmp_path / "water.xyz")]
    argv += ["--output", str(tmp_path / "frames.extxyz"), "--modes", "3"]
    assert main(argv) == 0
    assert "2 isolated, 3 modes" in capsys.readouterr().out
    frames: list[Atoms] = read(tmp_path / "frames.extxyz", ":")
    assert [frame.info["origin"] for frame in frames] == ["isolated"] * 2 + ["modes"] * 3
    assert main(argv) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*argv, "--overwrite", "true", "--modes", "-1"]) == 2
    assert "modes = -1" in capsys.readouterr().err
