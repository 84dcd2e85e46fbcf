from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import bulk, molecule
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.data.labels import DataError
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.runs.reader import ISOTOPES, read_atoms

HOD = "3\nenergy=-1.0\nO 0 0 0.12\nD 0 0.76 -0.48\nH 0 -0.76 -0.48\n"
EXTENDED = (
    '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=id:I:1:species:S:1:pos:R:3 pbc="T T T"\n'
    "1 T 0 0 0\n2 H 0 0 0.74\n"
)
CIF = """data_x
_cell_length_a 5.43
_cell_length_b 5.43
_cell_length_c 5.43
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
DISORDERED = {
    "Si 0.6 / Ge 0.4": ("Si1 Si 0 0 0 0.6\nGe1 Ge 0 0 0 0.4\n", r"Si \(0.6\) and Ge \(0.4\)"),
    "Si 0.5": ("Si1 Si 0 0 0 0.5\nSi2 Si 0.25 0.25 0.25 1.0\n", r"Si \(0.5\)"),
}


def test_isotopes_of_hydrogen_keep_their_masses(tmp_path: Path) -> None:
    (tmp_path / "hod.xyz").write_text(HOD + HOD.replace("D", "H"))
    first, second = read_atoms(tmp_path / "hod.xyz", ":")
    assert str(first.symbols) == "OH2"
    assert first.get_masses()[1] == ISOTOPES["D"]
    assert second.get_masses()[1] == pytest.approx(1.008)
    (last,) = read_atoms(tmp_path / "hod.xyz", "-1")
    assert not last.has("masses")
    (tmp_path / "ht.extxyz").write_text(EXTENDED)
    (pair,) = read_atoms(tmp_path / "ht.extxyz", "0")
    assert pair.get_masses()[0] == ISOTOPES["T"]
    assert pair.pbc.all()
    write(tmp_path / "again.extxyz", pair)  # as the next verb reads it
    assert read(tmp_path / "again.extxyz").get_masses()[0] == pytest.approx(ISOTOPES["T"])


def test_an_isotope_in_another_format_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "POSCAR", bulk("NaH", "rocksalt", a=4.9), format="vasp")
    text = (tmp_path / "POSCAR").read_text().replace(" H ", " D ").replace("H\n", "D\n")
    (tmp_path / "POSCAR").write_text(text)
    with pytest.raises(ValueError, match="the symbol D is no element of this format; write H"):
        read_atoms(tmp_path / "POSCAR", "0")


@pytest.mark.parametrize("name", DISORDERED)
@pytest.mark.parametrize("verb", ["singlepoint", "relax", "relax-many", "md", "phonons"])
def test_disorder_is_refused_in_every_verb(
    name: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sites, named = DISORDERED[name]
    (tmp_path / "si.cif").write_text(CIF + sites)
    with pytest.raises(ValueError, match=rf"occupied in part, by {named}; .*ordered cell"):
        read_atoms(tmp_path / "si.cif", "0")
    words = ["--potential", "so3krates-mlearn-si", "--structure", str(tmp_path / "si.cif")]
    assert main([verb, *words, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "occupied in part" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_ordered_crystal_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "si.cif").write_text(CIF + "Si1 Si 0 0 0 1.0\nSi2 Si 0.25 0.25 0.25 1.0\n")
    assert len(read_atoms(tmp_path / "si.cif", "0")[0]) == 2
    write(tmp_path / "water.pdb", molecule("H2O"))
    assert len(read_atoms(tmp_path / "water.pdb", "0")[0]) == 3


def test_labelled_structures_are_read_alike(tmp_path: Path) -> None:
    columns = "Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-1.0"
    lines = ["2", columns, "D 0 0 0 0 0 0", "H 0 0 0.74 0 0 0"]
    (tmp_path / "hd.xyz").write_text("\n".join(lines) + "\n")
    (frame,) = read_frames(DataSettings(str(tmp_path / "hd.xyz")))
    assert str(frame.atoms.symbols) == "H2"
    (tmp_path / "si.cif").write_text(CIF + DISORDERED["Si 0.5"][0])
    with pytest.raises(DataError, match="occupied in part"):
        read_frames(DataSettings(str(tmp_path / "si.cif")))
