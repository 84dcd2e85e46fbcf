"""Damaged and doubtful frames are reported by their place, and left out only when asked."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.labels import DataError, DataWarning
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings

pytestmark = pytest.mark.quick


@pytest.fixture
def frames(silicon: Atoms, rng: np.random.Generator) -> list[Atoms]:
    """Ten different frames of silicon with energies and forces."""
    made = []
    for _ in range(10):
        atoms = silicon.copy()
        atoms.rattle(0.1, rng=rng)
        atoms.info["REF_energy"] = -40.0 + rng.normal()
        atoms.arrays["REF_forces"] = rng.normal(size=(8, 3))
        made.append(atoms)
    return made


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Frame]]:
    def read(frames: list[Atoms], **settings: Any) -> list[Frame]:
        path = tmp_path / "data.xyz"
        ase.io.write(path, frames)
        return read_frames(DataSettings(str(path), **settings))

    return read


def damage(frames: list[Atoms]) -> None:
    """Five frames, each in its own way."""
    frames[1].info["REF_energy"] = np.nan
    frames[3].arrays["REF_forces"][2, 1] = np.inf
    frames[4].info["REF_energy"] = "low"
    frames[6].positions[0] = np.nan
    frames[8].numbers[0] = 0


DAMAGED = {1, 3, 4, 6, 8}


def test_sound_frames_pass_in_silence(frames: list[Atoms], read: Callable) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(frames)) == 10


def test_all_damaged_frames_are_named(frames: list[Atoms], read: Callable) -> None:
    damage(frames)
    with pytest.raises(DataError, match="5 of .* frames cannot be used") as caught:
        read(frames)
    for index in range(10):
        assert (f"frame {index}:" in str(caught.value)) == (index in DAMAGED)
    assert "Set skip_damaged: true to skip them" in str(caught.value)


def test_damaged_frames_are_left_out_when_asked(frames: list[Atoms], read: Callable) -> None:
    damage(frames)
    with pytest.warns(DataWarning, match="skipped: 5 of .*frame 6: a position"):
        kept = read(frames, skip_damaged=True)
    assert {frame.index for frame in kept} == set(range(10)) - DAMAGED
    assert [frame.energy for frame in kept] == [
        pytest.approx(frames[frame.index].info["REF_energy"]) for frame in kept
    ]


def test_a_set_of_nothing_but_damage_is_refused(frames: list[Atoms], read: Callable) -> None:
    for atoms in frames:
        atoms.arrays["REF_forces"][:] = np.nan
    with pytest.raises(DataError, match="10 of 10 frames cannot be used.*and so on"):
        read(frames, skip_damaged=True)


def test_labels_missing_in_some_frames_are_no_damage(frames: list[Atoms], read: Callable) -> None:
    del frames[2].info["REF_energy"], frames[5].arrays["REF_forces"]
    found = read(frames)
    assert [frame.energy is None for frame in found] == [index == 2 for index in range(10)]
    assert [frame.forces is None for frame in found] == [index == 5 for index in range(10)]


def test_ragged_frames_are_named(tmp_path: Path, rng: np.random.Generator) -> None:
    """Positions of frames that differ in length make an archive of objects, which is not read."""
    positions = np.empty(2, dtype=object)
    positions[:] = [rng.normal(size=(3, 3)), rng.normal(size=(2, 3))]
    np.savez(tmp_path / "data.npz", R=positions, z=[1, 1, 1], E=[1.0, 2.0])
    with pytest.raises(DataError, match=r"no array positions or R.*the arrays are z, E"):
        read_frames(DataSettings(str(tmp_path / "data.npz"), forces_key=None))


@pytest.mark.parametrize("unit", [1 / 27.211386, 23.060548, 1000.0])
def test_energies_of_mixed_units_are_doubted(
    unit: float, frames: list[Atoms], read: Callable
) -> None:
    for atoms in frames:
        atoms.info["REF_energy"] -= 8 * 7840.0  # total energies of all electrons
    frames[7].info["REF_energy"] *= unit
    with pytest.warns(DataWarning, match=r"1 of 10 frames are more than 10 eV/atom.*frame 7\)"):
        assert len(read(frames)) == 10


def test_absurd_forces_are_doubted_and_left_out_by_max_force(
    frames: list[Atoms], read: Callable
) -> None:
    frames[2].arrays["REF_forces"][5, 0] = 2e3
    with pytest.warns(DataWarning, match=r"1 of 10 frames have a force above 1000 .*frame 2\)"):
        assert len(read(frames)) == 10
    with pytest.warns(DataWarning, match="force above"):
        assert len(read(frames, max_force=50.0)) == 9


def test_repeated_frames_are_doubted(frames: list[Atoms], read: Callable) -> None:
    charged = frames[0].copy()
    charged.info["charge"] = 1
    with pytest.warns(DataWarning, match=r"2 of 13 frames repeat .*frame 11; .*frame 12\)"):
        assert len(read([*frames, charged, frames[3], charged])) == 13


def test_labels_under_two_names_are_not_dropped(frames: list[Atoms], read: Callable) -> None:
    for atoms in frames[4:]:
        atoms.info["energy"] = atoms.info.pop("REF_energy")
    with pytest.raises(DataError, match=r"frame 4: has energy under 'energy', .* 6 of 10 frames"):
        read(frames)
    # One of them is meant: the others have no energy, and are there for their forces.
    kept = read(frames, energy_key="REF_energy")
    assert [frame.energy is None for frame in kept] == [False] * 4 + [True] * 6


def test_two_names_in_every_frame_are_no_mixture(frames: list[Atoms], read: Callable) -> None:
    for atoms in frames:
        atoms.info["energy"] = 0.0
    assert all(frame.energy < -30 for frame in read(frames))


def test_a_virial_is_not_read_as_a_stress(frames: list[Atoms], read: Callable) -> None:
    for atoms in frames:
        atoms.info["REF_virial"] = np.eye(3).ravel()
    with pytest.raises(DataError, match=r"frame 0: 'REF_virial' is a virial .* stress_key"):
        read(frames, stress_key="REF_virial")


def test_a_stress_that_is_rather_a_virial_is_doubted(frames: list[Atoms], read: Callable) -> None:
    for atoms in frames:
        atoms.info["REF_stress"] = 0.01 * np.eye(3).ravel()
    frames[3].info["REF_stress"] = 30.0 * np.eye(3).ravel()
    with pytest.warns(DataWarning, match=r"1 of 10 frames have a stress above .*frame 3.*virial"):
        read(frames)


def test_asymmetric_stresses_are_doubted(frames: list[Atoms], read: Callable) -> None:
    rounding = 1e-6 * np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    for atoms in frames:
        atoms.info["REF_stress"] = (0.01 * np.eye(3) + rounding).ravel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(frames)
    frames[7].info["REF_stress"] = 0.01 * np.arange(9.0)
    with pytest.warns(DataWarning, match=r"1 of 10 frames have a stress that is not symmetric .*7"):
        read(frames)


def test_boxed_atoms_without_a_name_are_doubted(frames: list[Atoms], read: Callable) -> None:
    def lone(box: float, **info: str) -> Atoms:
        info = {"REF_energy": -0.8, **info}
        atoms = Atoms("Si", cell=[box] * 3, pbc=True, info=info)
        atoms.arrays["REF_forces"] = np.zeros((1, 3))
        return atoms

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read([*frames, lone(2.5), lone(12.0, config_type="IsolatedAtom")])
    with pytest.warns(DataWarning, match=r"1 of 11 frames hold one atom .*frame 10.*IsolatedAtom"):
        read([*frames, lone(12.0)])
