"""The constant error of energies is taken off the reference energies."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ase_geomformer import evaluate_many
from ase_geomformer.data.frames import Frame
from ase_geomformer.potential import Potential
from ase_geomformer.training import energy_shift
from ase_geomformer.training.energy_shift import MOST_FRAMES, centre


def energies(potential: Potential, frames: list[Frame]) -> np.ndarray:
    found = evaluate_many([frame.atoms for frame in frames], potential, ("energy",), device="cpu")
    return np.array([result["energy"] for result in found])


def labelled(potential: Potential, structures: list[Atoms], errors: list[float]) -> list[Frame]:
    """Frames from whose energies those of the potential differ by given errors per atom."""
    exact = energies(potential, [Frame(atoms) for atoms in structures])
    return [
        Frame(atoms, energy=energy - error * len(atoms))
        for atoms, energy, error in zip(structures, exact, errors, strict=True)
    ]


def mean_error(potential: Potential, frames: list[Frame]) -> float:
    labels = np.array([frame.energy for frame in frames])
    sizes = np.array([len(frame.atoms) for frame in frames])
    return float(np.mean((energies(potential, frames) - labels) / sizes))


def test_one_molecule_is_left_without_a_mean_error(
    potential: Potential, ethanol: Atoms, rng: np.random.Generator
) -> None:
    structures = [ethanol.copy() for _ in range(8)]
    for atoms in structures:
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
    scatter = rng.normal(scale=2e-4, size=8)
    frames = labelled(potential, structures, [7e-4 + one for one in scatter])
    forces = evaluate_many(structures, potential, ("forces",), device="cpu")
    moves = centre(potential, frames)
    assert set(moves) == {"H", "C", "O"}
    assert list(moves.values()) == pytest.approx(3 * [-7e-4 - scatter.mean()], abs=1e-12)
    assert mean_error(potential, frames) == pytest.approx(0.0, abs=1e-11)
    for before, after in zip(
        forces, evaluate_many(structures, potential, ("forces",), device="cpu"), strict=True
    ):
        np.testing.assert_array_equal(before["forces"], after["forces"])


def test_compositions_tell_elements_apart(potential: Potential) -> None:
    """Six molecules: errors of hydrogen, oxygen and carbon of their own."""
    structures = [molecule(name) for name in ("H2O", "CH4", "CO", "CH3CH2OH", "H2O2", "C2H4")]
    own = {"H": 1e-3, "C": -2e-3, "O": 4e-3}
    errors = [np.mean([own[symbol] for symbol in atoms.symbols]) for atoms in structures]
    frames = labelled(potential, structures, errors)
    before = np.abs(energies(potential, frames) - [frame.energy for frame in frames])
    references = dict(potential.reference_energies)
    moves = centre(potential, frames)
    after = np.abs(energies(potential, frames) - [frame.energy for frame in frames])
    assert after.max() < 0.1 * before.max()
    for symbol, move in moves.items():
        assert move == pytest.approx(-own[symbol], abs=3e-4)
        assert potential.reference_energies[symbol] == references.get(symbol, 0.0) + move


def test_what_tells_nothing_is_left_out(potential: Potential, ethanol: Atoms) -> None:
    assert centre(potential, []) == {}
    assert centre(potential, [Frame(ethanol), Frame(Atoms("H"), energy=-13.0)]) == {}
    assert potential.reference_energies == {}


def test_many_frames_are_sampled_evenly(
    potential: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Atoms] = []

    def counted(structures: list[Atoms], potential: Potential, *args: object, **kwargs: object):
        seen.extend(structures)
        return [{"energy": 0.0} for _ in structures]

    monkeypatch.setattr(energy_shift, "evaluate_many", counted)
    hydrogen = molecule("H2")
    centre(potential, [Frame(hydrogen, energy=float(n)) for n in range(2 * MOST_FRAMES)])
    assert len(seen) == MOST_FRAMES
    # Means of an even selection and of all are the same.
    assert potential.reference_energies["H"] == pytest.approx((2 * MOST_FRAMES - 1) / 4)
