"""Domain and uncertainty of a potential, from frames whose errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.accuracy.calibration import STEP_A, features_of, fit_confidence
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.confidence.file import write_confidence
from ase_geomformer.data.frames import Frame
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential
from ase_geomformer.registry import load_potential
from ase_geomformer.runtime.domain import INTERVAL, DomainError, DomainWarning
from ase_geomformer.runtime.features import atom_features, head_of, scaled_features
from ase_geomformer.runtime.uncertainty import feature_slopes

NAMES = ["so3krates", "geomformer", "est"]


def ethanol_frames(number: int, seed: int) -> list[Atoms]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        atoms = molecule("CH3CH2OH")
        atoms.positions += random.normal(scale=0.05, size=(9, 3))
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def noise() -> float:
    return 0.3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_potential: object, noise: float) -> Path:
    """A potential whose labels are those of others with a slightly different last layer."""
    path = tmp_path_factory.mktemp("potentials") / "ethanol"
    potential = make_potential(energy_scale=1.0)  # type: ignore[operator]
    save_potential(potential, path, Card("ethanol"))
    random = np.random.default_rng(0)
    parts = []
    for number, seed in ((120, 1), (60, 2)):
        structures = ethanol_frames(number, seed)
        found = evaluate_many(structures, potential, dtype="float64", device="cpu")
        parts.append(
            [
                Frame(
                    atoms,
                    energy=one["energy"] + 0.01 * random.normal(),
                    forces=one["forces"] + noise * random.normal(size=(9, 3)),
                )
                for atoms, one in zip(structures, found, strict=True)
            ]
        )
    write_confidence(path, fit_confidence(load_potential(path), *parts))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_energies_are_linear_in_the_features(name: str, ethanol: Atoms) -> None:
    from ase_geomformer.architectures import build

    settings = {} if name == "geomformer" else {"avg_num_neighbors": 8.0}
    potential = Potential(build(name, settings), ["H", "C", "O"], energy_scale=3.0)
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    features = atom_features(potential, graph)
    last = head_of(potential).final
    scaled = scaled_features(potential, features, graph.atomic_numbers)
    energies = scaled @ last.weight.detach()[0].double() + 3.0 * last.bias.detach().double()
    shifts = head_of(potential).shifts
    if shifts is not None:
        energies = energies + 3.0 * shifts.detach()[graph.atomic_numbers]
    with torch.no_grad():
        expected = potential(graph, ("energies",))["energies"]
    torch.testing.assert_close(energies, expected, atol=1e-10, rtol=0)


def test_slopes_are_the_derivatives_of_the_features(folder: Path, ethanol: Atoms) -> None:
    potential = load_potential(folder, dtype="float64")
    width = 16
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    slopes = feature_slopes(potential, graph, torch.eye(width, dtype=torch.float64))
    random = np.random.default_rng(3)
    found = features_of(potential, [ethanol], random, False).slopes[0]
    random = np.random.default_rng(3)
    for one in found:
        way = torch.tensor(random.choice([-1.0, 1.0], size=(9, 3)))
        expected = -(slopes * way).sum(dim=(1, 2))
        torch.testing.assert_close(one, expected, atol=1e2 * STEP_A**2, rtol=1e-4)


def test_uncertainties(folder: Path, noise: float) -> None:
    calculator = PotentialCalculator(folder, dtype="float64", device="cpu", compile=False)
    spreads = []
    for atoms in ethanol_frames(5, 9):
        atoms.calc = calculator
        forces = atoms.get_forces()
        spread = calculator.get_property("forces_uncertainty", atoms)
        assert spread.shape == (9, 3)
        spreads.append(np.sqrt(np.mean(np.square(spread))))
        energy = calculator.get_property("energy_uncertainty", atoms)
        assert 1e-3 < energy < 0.1  # labels have a noise of 0.01 eV
        assert calculator.get_property("energies_uncertainty", atoms).shape == (9,)
        np.testing.assert_array_equal(atoms.get_forces(), forces)
        turned = atoms.copy()
        turned.rotate(40, "z")
        again = calculator.get_property("energy_uncertainty", turned)
        assert again == pytest.approx(energy, rel=1e-6)
    # Errors of the forces are noise, which calibration finds.
    assert np.mean(spreads) == pytest.approx(noise, rel=0.2)


def test_the_domain_is_that_of_the_data(folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    calculator = PotentialCalculator(folder, dtype="float64", device="cpu", compile=False)
    for atoms in ethanol_frames(10, 5):
        atoms.calc = calculator
        assert calculator.get_property("extrapolation", atoms).max() < 1.0
    benzene = molecule("C6H6")
    for _ in range(2):
        benzene.calc = calculator
        benzene.get_forces()
        benzene.rattle(0.01)
    (warning,) = [one for one in recwarn if one.category is DomainWarning]
    message = str(warning.message)
    assert "atom" in message
    assert "its training data" in message
    # Float32 gives the same grades.
    found = [
        PotentialCalculator(folder, dtype=dtype, device="cpu").get_property(
            "extrapolation", benzene
        )
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_allclose(*found, rtol=1e-2)


def test_what_is_unlike_is_refused_or_ignored(folder: Path) -> None:
    benzene = molecule("C6H6")
    strict = PotentialCalculator(folder, domain="error", device="cpu")
    with pytest.raises(DomainError, match="domain='warn' or 'ignore' evaluates it"):
        strict.get_potential_energy(benzene)
    with pytest.raises(DomainError, match=r"of structure 1 \(C6H6\)"):
        evaluate_many([molecule("CH3CH2OH"), benzene], folder, domain="error", device="cpu")
    close = molecule("CH3CH2OH")
    close.positions[1] = close.positions[0] + [0.3, 0, 0]
    with pytest.raises(DomainError, match=r"C atom 0 and C atom 1 are 0\.3 Å apart, and such at"):
        strict.get_potential_energy(close)
    quiet = PotentialCalculator(folder, domain="ignore", device="cpu")
    quiet.get_potential_energy(benzene)


def test_a_structure_that_moves_is_checked_now_and_then(folder: Path) -> None:
    strict = PotentialCalculator(folder, domain="error", device="cpu")
    atoms = molecule("CH3CH2OH")
    atoms.calc = strict
    atoms.get_forces()
    atoms.positions *= 1.5
    for _ in range(INTERVAL - 1):
        atoms.positions += 1e-6
        atoms.get_forces()
    atoms.positions += 1e-6
    with pytest.raises(DomainError):
        atoms.get_forces()


def test_potentials_without_statistics_say_so(potential: Potential, ethanol: Atoms) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    calculator.get_potential_energy(ethanol)
    assert "energy_uncertainty" not in calculator.implemented_properties
    with pytest.raises(NotImplementedError, match="energy_uncertainty"):
        calculator.get_property("energy_uncertainty", ethanol)
