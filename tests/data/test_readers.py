from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from rich.console import Console

from ase_geomformer.data.frames import Frame, elements, geometry_checksum, label_table
from ase_geomformer.data.labels import DataError
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.training.settings_file import from_yaml

STRESS = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]]) * 1e-2
VOIGT = np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6]) * 1e-2


def labelled(silicon: Atoms, rng: np.random.Generator, **info: Any) -> Atoms:
    """Silicon with labels under the REF_ names."""
    atoms = silicon.copy()
    atoms.info.update({"REF_energy": -40.0, "REF_stress": STRESS, **info})
    atoms.arrays["REF_forces"] = rng.normal(size=(8, 3))
    return atoms


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write frames under a name in the test's folder and return the path."""

    def write(frames: Any, name: str = "data.xyz") -> str:
        path = tmp_path / name
        ase.io.write(path, frames)
        return str(path)

    return write


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    """Save arrays as data.npz in the test's folder, over sensible ones, and return the path."""

    def save(**arrays: Any) -> str:
        rng = np.random.default_rng(1)
        usual = {
            "z": np.array([8, 1, 1]),
            "R": rng.normal(size=(5, 3, 3)),
            "E": rng.normal(size=5),
            "F": rng.normal(size=(5, 3, 3)),
        }
        kept = {key: value for key, value in {**usual, **arrays}.items() if value is not None}
        path = tmp_path / "data.npz"
        np.savez(path, **kept)
        return str(path)

    return save


# Published files


def test_rmd17_split(shared: Path) -> None:
    path = shared / "data/rmd17/rmd17_ethanol.npz"
    frames = read_frames(
        DataSettings(
            str(path),
            positions_key="R_test",
            energy_key="E_test",
            forces_key="F_test",
            energy_unit="kcal/mol",
            select={"split_test": 2},
        )
    )
    with np.load(path) as raw:
        rows = np.flatnonzero(raw["split_test"] == 2)
        row = rows[3]
        energy, forces = raw["E_test"][row], raw["F_test"][row]
        positions = raw["R_test"][row]
    frame = frames[3]
    assert (len(frames), frame.index) == (len(rows), row)
    assert frame.energy == pytest.approx(energy * 0.0433641039, rel=1e-8)
    np.testing.assert_allclose(frame.forces, forces * 0.0433641039, rtol=1e-7)
    np.testing.assert_array_equal(frame.atoms.positions, positions)
    assert not frame.atoms.pbc.any()
    assert frame.stress is None


def test_h2co_is_read_without_naming_keys(shared: Path) -> None:
    frames = read_frames(
        DataSettings(str(shared / "data/h2co_b3lyp/h2co_b3lyp_4001.npz"), dipole_key="auto")
    )
    assert len(frames) == 4001
    assert elements(frames) == ("H", "C", "O")
    assert frames[0].energy == pytest.approx(-15.7562868)
    assert frames[0].dipole is not None
    np.testing.assert_allclose(frames[0].dipole, [0.05242541, -0.1272109, -0.0797301])


def test_null_selects_frames_without_the_entry(tmp_path: Path) -> None:
    """Also through YAML, as the settings of a training are written."""
    path = tmp_path / "strained.extxyz"
    for strain_mode in (1, 4, None):
        atoms = Atoms("Li", positions=[[0.0, 0.0, 0.0]])
        atoms.info["label"] = f"mode {strain_mode}"
        if strain_mode:
            atoms.info["strain_mode"] = strain_mode
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.zeros((1, 3)))
        atoms.write(path, append=True)
    (tmp_path / "train.yaml").write_text(
        f"name: lithium\ndata: {{path: {path}, select: {{strain_mode: [1, null]}}}}\n"
        "model: {architecture: est}\n"
    )
    frames = read_frames(from_yaml(tmp_path / "train.yaml").data)
    assert [frame.atoms.info["label"] for frame in frames] == ["mode 1", "mode None"]


def test_mgo_cells_and_force_limit(shared: Path) -> None:
    path = str(shared / "data/mgo_pbe/mgo_pbe.npz")
    frames = read_frames(DataSettings(path, select={"is_test": 0}, max_force=20.0))
    assert 0 < len(frames) < 900
    largest = [np.linalg.norm(frame.forces, axis=1).max() for frame in frames]  # type: ignore[arg-type]
    assert max(largest) <= 20.0
    assert all(frame.atoms.pbc.all() and frame.atoms.cell.volume > 0 for frame in frames)
    assert frames[0].stress is not None
    np.testing.assert_allclose(frames[0].stress[0, 0], -3.3392533e-04, rtol=1e-6)


def test_mlearn_has_stress_but_not_on_surfaces(shared: Path) -> None:
    path = str(shared / "data/mlearn/Si_train.xyz.xz")
    frames = read_frames(DataSettings(path))
    raw = ase.io.read(path, index=0)
    assert len(frames) == 214
    assert frames[0].energy == pytest.approx(raw.calc.results["energy"])
    np.testing.assert_allclose(frames[0].stress, raw.get_stress(voigt=False))  # type: ignore[arg-type]
    for frame in frames:
        assert (frame.stress is None) == (frame.atoms.info["group"] == "Surface")
    some = read_frames(DataSettings(path, select={"group": ["Elastic", "Vacancy"]}))
    assert {frame.atoms.info["group"] for frame in some} == {"Elastic", "Vacancy"}
    assert [frame.index for frame in some] == [
        frame.index for frame in frames if frame.atoms.info["group"] in ("Elastic", "Vacancy")
    ]


def test_several_files_with_isolated_atoms(shared: Path) -> None:
    folder = shared / "data/botnet_ethanol"
    paths = [str(folder / "isolated_atoms.xyz.xz"), str(folder / "test_H_removal.xyz.xz")]
    frames = read_frames(DataSettings(paths, forces_key=None))
    assert [frame.is_isolated_atom for frame in frames] == [True] * 4 + [False] * 60
    with pytest.raises(ValueError, match="no frame has REF_forces or forces or F.*forces_key"):
        read_frames(DataSettings(paths))


# Formats, made here


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress), (".bz2", bz2.compress)],
)
def test_extxyz_plain_and_compressed(
    suffix: str,
    compress: Callable[[bytes], bytes],
    silicon: Atoms,
    rng: np.random.Generator,
    write: Callable[..., str],
) -> None:
    first, second = labelled(silicon, rng, charge=1), labelled(silicon, rng, REF_energy=-41.0)
    plain = Path(write([first, second]))
    path = plain.with_name(f"set.extxyz{suffix}")
    path.write_bytes(compress(plain.read_bytes()))
    frames = read_frames(DataSettings(str(path)))
    assert [frame.energy for frame in frames] == [-40.0, -41.0]
    assert [frame.where for frame in frames] == [f"{path}, frame 0", f"{path}, frame 1"]
    np.testing.assert_allclose(frames[1].forces, second.arrays["REF_forces"], atol=1e-7)  # type: ignore[arg-type]
    np.testing.assert_allclose(frames[0].stress, STRESS, atol=1e-7)  # type: ignore[arg-type]
    assert frames[0].atoms.info["charge"] == 1
    assert frames[0].atoms.calc is None


def test_db_and_traj_agree(silicon: Atoms, rng: np.random.Generator, tmp_path: Path) -> None:
    silicon.set_constraint(FixAtoms([0]))
    forces = rng.normal(size=(8, 3))
    silicon.calc = SinglePointCalculator(silicon, energy=-3.0, forces=forces, stress=VOIGT)
    ase.io.write(tmp_path / "a.traj", [silicon])
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(silicon, REF_energy=-5.0, data={"REF_forces": 2 * forces})
    (traj,) = read_frames(DataSettings(str(tmp_path / "a.traj")))
    (row,) = read_frames(DataSettings(str(tmp_path / "a.db")))
    assert (traj.energy, row.energy) == (-3.0, -5.0)
    # The force of a fixed atom is data like any other: constraints belong to a simulation.
    np.testing.assert_allclose(traj.forces, forces)  # type: ignore[arg-type]
    np.testing.assert_allclose(row.forces, 2 * forces)  # type: ignore[arg-type]
    np.testing.assert_allclose(traj.stress, STRESS)  # type: ignore[arg-type]
    np.testing.assert_allclose(row.stress, STRESS)  # type: ignore[arg-type]
    assert not traj.atoms.constraints


def test_labels_of_two_origins_do_not_mix(
    silicon: Atoms, rng: np.random.Generator, write: Callable[..., str]
) -> None:
    other = silicon.copy()
    other.calc = SinglePointCalculator(other, energy=-7.0)
    path = write([labelled(silicon, rng), other])
    with pytest.raises(DataError, match="frame 1: has energy under 'energy'"):
        read_frames(DataSettings(path))
    named = DataSettings(path, energy_key="REF_energy")
    assert [frame.energy for frame in read_frames(named)] == [-40.0, None]
    named = DataSettings(path, energy_key="energy", forces_key=None)
    assert [frame.energy for frame in read_frames(named)] == [None, -7.0]


def test_null_leaves_a_label_unread(
    silicon: Atoms, rng: np.random.Generator, write: Callable[..., str]
) -> None:
    path = write(labelled(silicon, rng))
    (frame,) = read_frames(DataSettings(path, energy_key=None, stress_key=None))
    assert frame.energy is None
    assert frame.stress is None
    assert frame.forces is not None


def test_units_and_sign(
    silicon: Atoms, rng: np.random.Generator, write: Callable[..., str]
) -> None:
    atoms = labelled(silicon, rng)
    path = write(atoms)
    settings = DataSettings(
        path,
        energy_unit="hartree",
        length_unit="bohr",
        stress_unit="kbar",
        stress_sign="compression",
    )
    (frame,) = read_frames(settings)
    bohr, hartree = 0.529177210903, 27.211386245988
    assert frame.energy == pytest.approx(-40 * hartree, rel=1e-6)
    np.testing.assert_allclose(frame.atoms.positions, atoms.positions * bohr, atol=1e-6)
    np.testing.assert_allclose(frame.atoms.cell.lengths(), atoms.cell.lengths() * bohr, rtol=1e-6)
    expected = atoms.arrays["REF_forces"] * hartree / bohr
    np.testing.assert_allclose(frame.forces, expected, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(frame.stress, -STRESS / 1602.1766, rtol=1e-6)  # type: ignore[arg-type]
    (mixed,) = read_frames(DataSettings(path, forces_unit="kcal/mol/bohr"))
    expected = atoms.arrays["REF_forces"] * 0.0433641 / bohr
    np.testing.assert_allclose(mixed.forces, expected, rtol=2e-5, atol=1e-7)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(6,), (9,), (3, 3)])
def test_stress_shapes(shape: tuple[int, ...], save: Callable[..., str]) -> None:
    stress = VOIGT if shape == (6,) else STRESS.reshape(shape)
    path = save(sigma=np.repeat(stress[None], 5, axis=0), cell=np.eye(3) * 9)
    frames = read_frames(DataSettings(path, stress_key="sigma"))
    np.testing.assert_array_equal(frames[4].stress, STRESS)  # type: ignore[arg-type]


def test_npz_charge_pbc_and_changing_elements(save: Callable[..., str]) -> None:
    numbers = np.array([[8, 1, 1]] * 4 + [[7, 1, 1]])
    cells = np.zeros((5, 3, 3))
    cells[:, 2] = [0.0, 1.0, 9.0]
    path = save(
        z=numbers,
        charge=np.array([0, 0, 0, 0, 1]),
        spin=np.full(5, 2),
        lattice=cells,
        q=np.ones((5, 3)),
    )
    frames = read_frames(DataSettings(path, charges_key="q"))
    assert frames[4].atoms.get_chemical_formula() == "H2N"
    assert frames[4].atoms.info == {"charge": 1, "spin": 2}
    assert frames[0].atoms.pbc.tolist() == [False, False, True]
    np.testing.assert_array_equal(frames[0].charges, np.ones(3))  # type: ignore[arg-type]


class Trap:
    """An object whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)


def test_objects_in_an_archive_are_never_unpickled(
    save: Callable[..., str], tmp_path: Path
) -> None:
    path = save(names=np.array([Trap(tmp_path / "sprung")] * 5, dtype=object))
    assert len(read_frames(DataSettings(path))) == 5
    with pytest.raises(ValueError, match="no frame has names"):
        read_frames(DataSettings(path, energy_key="names"))
    assert not (tmp_path / "sprung").exists()


def test_dipole_in_units_of_the_file(save: Callable[..., str]) -> None:
    path = save(mu=np.ones((5, 3)))
    frames = read_frames(DataSettings(path, dipole_key="mu", length_unit="bohr"))
    np.testing.assert_allclose(frames[0].dipole, 0.529177210903, rtol=1e-7)  # type: ignore[arg-type]


# Bad files: one error each, with file, key and frame


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ({"E": np.array([0, 1, np.nan, 3, 4])}, {}, r"data\.npz, frame 2: E holds NaN"),
        ({"F": np.full((5, 3, 3), np.inf)}, {}, r"data\.npz, frame 0: F holds NaN or infinite"),
        (
            {"F": np.zeros((5, 3))},
            {},
            r"frame 0: F has shape \(3,\), which does not fit forces of 3 atoms",
        ),
        ({"E": np.zeros((5, 2))}, {}, r"frame 0: E has shape \(2,\), which does not fit energy"),
        ({"E": np.array(list("abcde"))}, {}, r"frame 0: E is not numeric"),
        ({"E": None}, {}, r"no frame has REF_energy or energy or E.*the file has F, R"),
        ({}, {"energy_key": "U"}, r"data\.npz: no frame has U, requested as energy_key"),
        ({"U": np.zeros(4)}, {"energy_key": "U"}, r"U has shape \(4,\), but there are 5 frames"),
        ({"R": None}, {}, r"no array positions or R, requested as positions_key.*z, E, F"),
        ({"R": np.zeros((5, 9))}, {}, r"positions have shape \(5, 9\)"),
        ({"R": np.full((5, 3, 3), np.nan)}, {}, r"frame 0: a position or cell entry is NaN"),
        ({"R": np.zeros((0, 3, 3)), "E": None}, {}, r"data\.npz: contains no frames"),
        ({"z": np.array([8, 1])}, {}, r"numbers has shape \(2,\)"),
        (
            {"z": np.array([8, 1, 0])},
            {},
            r"frame 0: .*numbers \[0\] are not those",
        ),
        ({"stress": np.zeros((5, 6))}, {}, r"frame 0: has a stress under 'stress' but its cell"),
        ({}, {"select": {"part": 1}}, r"select uses 'part', which no frame has"),
        (
            {"part": np.arange(5)},
            {"select": {"part": 7}},
            r"no frame has part = 7; the values are 0",
        ),
        ({}, {"max_force": 1e-3}, r"max_force 0.001 eV/Å excludes all frames"),
        ({}, {"cell_key": "box"}, r"no array box, requested as cell_key"),
    ],
)
def test_bad_archive(
    arrays: dict[str, Any], settings: dict[str, Any], message: str, save: Callable[..., str]
) -> None:
    with pytest.raises(ValueError, match=message):
        read_frames(DataSettings(save(**arrays), **settings))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.xyz", b"", "the file is empty"),
        ("blank.xyz", b"\n\n", "contains no frames"),
        ("words.xyz", b"hello\nworld\n", "cannot be read"),
        ("none.xyz", b"0\nREF_energy=1.0\n", "frame 0: the frame has no atoms"),
        ("cut.npz", b"PK\x03\x04 and then nothing", "cannot be read .*not an npz archive"),
        ("not.db", b"not sqlite" * 100, "cannot be read"),
        ("unknown.foo", b"not anything" * 100, "cannot be read"),
    ],
)
def test_bad_file(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        read_frames(DataSettings(str(tmp_path / name)))


def test_truncated_file(
    silicon: Atoms, rng: np.random.Generator, write: Callable[..., str], tmp_path: Path
) -> None:
    content = Path(write([labelled(silicon, rng)] * 3)).read_bytes()
    cut = content[: content.rstrip().rfind(b"\n") + 1]
    for name, damaged in (("cut.xyz", cut), ("cut.xyz.xz", lzma.compress(content)[:-60])):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{name}: cannot be read.*is it complete"):
            read_frames(DataSettings(str(tmp_path / name)))


def test_an_empty_line_does_not_hide_frames(
    silicon: Atoms, rng: np.random.Generator, write: Callable[..., str], tmp_path: Path
) -> None:
    content = Path(write(labelled(silicon, rng))).read_text()
    (tmp_path / "gap.xyz").write_text(content + "\n" + content)
    with pytest.raises(ValueError, match="frames end at line 10 of 21; is there an empty line"):
        read_frames(DataSettings(str(tmp_path / "gap.xyz")))
    (tmp_path / "end.xyz").write_text(content + content + "\n\n")
    assert len(read_frames(DataSettings(str(tmp_path / "end.xyz")))) == 2


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no data file .*nowhere.xyz"):
        read_frames(DataSettings(str(tmp_path / "nowhere.xyz")))


@pytest.mark.parametrize(
    "settings",
    [
        {"energy_unit": "Rydberg"},
        {"length_unit": "nm"},
        {"stress_unit": "bar"},
        {"stress_sign": "up"},
        {"forces_unit": "hartree"},
        {"max_force": 0.0},
        {"path": []},
    ],
)
def test_settings_are_checked_before_any_file(settings: dict[str, Any]) -> None:
    (name, _), *_ = settings.items()
    with pytest.raises(ValueError, match=name):
        DataSettings(**{"path": "data.xyz", **settings})


# Frames


def test_isolated_atom_is_not_a_primitive_cell() -> None:
    atom = Atoms("Cu")
    crystal = Atoms("Cu", cell=[2.5] * 3, pbc=True)
    boxed = Atoms("Cu", cell=[15.0] * 3, pbc=True, info={"config_type": "IsolatedAtom"})
    flags = [Frame(atoms).is_isolated_atom for atoms in (atom, crystal, boxed, Atoms("Cu2"))]
    assert flags == [True, False, True, False]


def test_fingerprint_sees_geometry_only(silicon: Atoms) -> None:
    moved, periodic, strained, other = (silicon.copy() for _ in range(4))
    moved.positions[0, 0] += 1e-9
    periodic.pbc = [True, True, False]
    strained.cell[0, 1] += 1e-9
    other.numbers[0] = 32
    changed = (moved, periodic, strained, other)
    prints = {geometry_checksum([Frame(atoms)]) for atoms in (silicon, *changed)}
    assert len(prints) == 5
    assert geometry_checksum([Frame(silicon, energy=1.0)]) in prints


def test_table_counts_labels(silicon: Atoms, ethanol: Atoms) -> None:
    sets = {
        "train": [Frame(silicon, energy=1.0, stress=STRESS), Frame(ethanol, energy=2.0)],
        "test": [],
    }
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(label_table(sets))
    row = next(line for line in console.export_text().splitlines() if "train" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells == ["train", "2", "17", "8-9", "H C O Si", "2", "1"]  # nothing has forces


def test_factors_come_from_the_units_of_ase() -> None:
    factors = DataSettings("a.xyz", energy_unit="kJ/mol", stress_unit="GPa").factors
    assert factors["energy"] == units.kJ / units.mol
    assert factors["stress"] == units.GPa
