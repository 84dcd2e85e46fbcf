"""Forces and stresses that are not the derivatives of the energies are told."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import GPa

from ase_geomformer.data.consistency import contradictions, steps, work_factor_and_offset
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.labels import DataWarning
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings

pytestmark = pytest.mark.quick


def labelled(
    structures: Sequence[Atoms], forces: float = 1.0, stress: float = 1.0, pressure: float = 0.0
) -> list[Frame]:
    """EMT's labels, forces and stresses times a factor, a constant added to the stress (eV/Å^3)."""
    frames = []
    for atoms in structures:
        atoms.calc = EMT()
        tensor = atoms.get_stress(voigt=False) if atoms.pbc.all() else None
        frames.append(
            Frame(
                atoms=atoms,
                energy=atoms.get_potential_energy(),
                forces=forces * atoms.get_forces(),
                stress=None if tensor is None else stress * tensor + pressure * np.eye(3),
            )
        )
    return frames


@pytest.fixture
def strained() -> list[Atoms]:
    """Copper stretched along one axis, and sheared, in random order and with wrapped atoms."""
    cells = []
    for strain in np.linspace(-0.06, 0.06, 10):
        for row, column in ((0, 0), (1, 2)):
            atoms = bulk("Cu", cubic=True)
            change = np.eye(3)
            change[row, column] += strain
            atoms.set_cell(atoms.cell.array @ change, scale_atoms=True)
            atoms.positions[1] += atoms.cell[2]
            cells.append(atoms)
    order = np.random.default_rng(1).permutation(len(cells))
    return [cells[index] for index in order]


@pytest.fixture
def moved(rng: np.random.Generator) -> list[Atoms]:
    """A molecule and a crystal along paths of short steps."""
    frames = []
    for start in (molecule("CH3CH2OH"), bulk("Cu", cubic=True)):
        for _ in range(8):
            start = start.copy()
            start.positions += rng.normal(scale=0.03, size=start.positions.shape)
            frames.append(start)
    return frames


@pytest.mark.parametrize("of", ["strained", "moved"])
def test_derivatives_of_the_energy_are_accepted(of: str, request: pytest.FixtureRequest) -> None:
    frames = labelled(request.getfixturevalue(of))
    assert len(list(steps(frames))) >= 10
    assert not list(contradictions(frames))


@pytest.mark.parametrize("offset", [-2.0, 2.5])
def test_a_constant_in_the_stress_is_measured(offset: float, strained: list[Atoms]) -> None:
    frames = labelled(strained, pressure=offset * GPa)
    factor, found = work_factor_and_offset([step for step in steps(frames) if step.strained])
    assert factor == pytest.approx(1.0, abs=0.02)
    assert found / GPa == pytest.approx(offset, abs=0.1)
    (message,) = contradictions(frames)
    assert f"stresses are {offset:+.1f} GPa off" in message
    told = re.search(r"stress_offset_GPa: (-?[\d.]+)", message)
    assert told is not None
    assert float(told[1]) == pytest.approx(-offset, abs=0.1)


@pytest.mark.parametrize(("factor", "told"), [(-1.0, "by -1 times"), (1 / GPa, "by 0.0062")])
def test_the_sign_and_the_unit_of_stresses_are_told(
    factor: float, told: str, strained: list[Atoms]
) -> None:
    (message,) = contradictions(labelled(strained, stress=factor))
    assert message.startswith("stresses are not the derivative")
    assert told in message


@pytest.mark.parametrize("factor", [-1.0, 23.06, 1 / 51.42])
def test_the_sign_and_the_unit_of_forces_are_told(factor: float, moved: list[Atoms]) -> None:
    (message,) = contradictions(labelled(moved, forces=factor))
    assert message.startswith("forces are not the derivative")
    told = float(message.split("changes by ")[1].split()[0])
    assert told == pytest.approx(1 / factor, rel=0.1)


def test_frames_that_say_nothing_are_left_alone(strained: list[Atoms]) -> None:
    far = [atoms.copy() for atoms in strained[:2]]
    far[1].positions[0] += 0.5
    frames = labelled(far, stress=-1.0)
    frames += [Frame(atoms=atoms) for atoms in strained]
    frames += [Frame(atoms=atoms, energy=1.0) for atoms in strained]
    assert not list(contradictions(frames))


def test_labels_of_a_file_are_checked(strained: list[Atoms], tmp_path: Path) -> None:
    for atoms in strained:
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.info["REF_stress"] = -atoms.get_stress(voigt=False).ravel()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
    path = str(tmp_path / "data.xyz")
    ase.io.write(path, strained)
    with pytest.warns(DataWarning, match="energy changes by -1 times the work of the stress"):
        read_frames(DataSettings(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_frames(DataSettings(path, stress_sign="compression"))


def test_a_constant_in_the_stress_is_taken_back(strained: list[Atoms], tmp_path: Path) -> None:
    frames = labelled(strained, pressure=2.5 * GPa)
    path = str(tmp_path / "data.xyz")
    for atoms, frame in zip(strained, frames, strict=True):
        atoms.calc = SinglePointCalculator(
            atoms, energy=frame.energy, forces=frame.forces, stress=frame.stress
        )
    ase.io.write(path, strained)
    with pytest.warns(DataWarning, match=r"\+2.5 GPa off"):
        read_frames(DataSettings(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corrected = read_frames(DataSettings(path, stress_offset_GPa=-2.5))
    for frame, exact in zip(corrected, labelled(strained), strict=True):
        assert frame.stress == pytest.approx(exact.stress, abs=1e-7)
