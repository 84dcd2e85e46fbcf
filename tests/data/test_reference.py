from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from rich.console import Console

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.reference import force_rms, reference_energies
from ase_geomformer.data.sources import DataSettings

pytestmark = pytest.mark.quick

TRUE = {"H": -13.6, "C": -1027.5, "O": -2041.2}


def molecule(formula: str, extra: float = 0.0, **labels: object) -> Frame:
    """A structure of this composition whose energy is that of its atoms and a bit more."""
    atoms = Atoms(formula)
    atoms.positions[:, 0] = np.arange(len(atoms))
    energy = sum(TRUE[symbol] for symbol in atoms.get_chemical_symbols()) + extra * len(atoms)
    return Frame(atoms, energy=energy, **labels)  # type: ignore[arg-type]


VARIED = ["H2O", "CH4", "C2H6O", "CO2", "CH2O", "H2O2", "C3H8"]


def test_fit_recovers_known_energies() -> None:
    found = reference_energies([molecule(formula) for formula in VARIED])
    assert list(found.energies) == ["H", "C", "O"]
    for symbol, energy in TRUE.items():
        assert found.energies[symbol] == pytest.approx(energy, abs=1e-4)
        assert found.origins[symbol] == "least squares"
    assert found.residual < 1e-4


def test_fit_under_noise_leaves_the_noise(rng: np.random.Generator) -> None:
    frames = [molecule(formula, rng.normal(scale=0.05)) for formula in VARIED * 30]
    found = reference_energies(frames)
    for symbol, energy in TRUE.items():
        assert found.energies[symbol] == pytest.approx(energy, abs=0.1)
    assert found.residual == pytest.approx(0.05, rel=0.2)


def test_one_composition_gives_the_mean_to_all() -> None:
    frames = [molecule("C2H6O", extra) for extra in (-0.1, 0.0, 0.4)]
    found = reference_energies(frames)
    mean = np.mean([frame.energy for frame in frames]) / 9  # type: ignore[type-var]
    np.testing.assert_allclose(list(found.energies.values()), mean, rtol=1e-9)
    assert found.residual == pytest.approx(np.std([-0.1, 0.0, 0.4]))


def test_compositions_in_fixed_ratio_stay_bounded() -> None:
    frames = [molecule("H2O", 0.01), molecule("H4O2", -0.01), molecule("H6O3")]
    found = reference_energies(frames)
    total = 2 * found.energies["H"] + found.energies["O"]
    assert total == pytest.approx(2 * TRUE["H"] + TRUE["O"], abs=0.03)
    assert max(map(abs, found.energies.values())) < 1e4


def test_isolated_atoms_come_before_the_fit() -> None:
    atoms = [Frame(Atoms("H"), energy=-12.0), Frame(Atoms("O"), energy=-2000.0)]
    found = reference_energies([*atoms, molecule("CH2O"), molecule("CH4")])
    assert found.energies["H"] == -12.0
    assert found.energies["O"] == -2000.0
    # What is left for carbon is the mean of what the two molecules leave.
    left = [
        TRUE["C"] + 2 * (TRUE["H"] + 12.0) + (TRUE["O"] + 2000.0),
        TRUE["C"] + 4 * (TRUE["H"] + 12.0),
    ]
    assert found.energies["C"] == pytest.approx(np.mean(left))
    assert found.origins == {"H": "isolated atom", "O": "isolated atom", "C": "least squares"}


def test_given_energies_come_first() -> None:
    frames = [Frame(Atoms("H"), energy=-12.0), molecule("H2O")]
    found = reference_energies(frames, given={"H": -13.0, "Au": -5.0})
    assert found.energies["H"] == -13.0
    assert found.energies["Au"] == -5.0
    assert found.energies["O"] == pytest.approx(TRUE["O"] + 2 * (TRUE["H"] + 13.0))


def test_a_crystal_of_one_atom_is_fitted() -> None:
    crystal = Frame(Atoms("O", cell=[2.0] * 3, pbc=True), energy=-5.0)
    assert reference_energies([crystal]).origins == {"O": "least squares"}


def test_contradiction_names_both_frames() -> None:
    frames = [
        Frame(Atoms("H"), energy=-13.0, source="a.xyz", index=4),
        Frame(Atoms("H"), energy=-12.9, source="b.xyz", index=0),
    ]
    with pytest.raises(ValueError, match=r"isolated H has.*a\.xyz, frame 4.*b\.xyz, frame 0"):
        reference_energies(frames)


def test_element_without_energy() -> None:
    frames = [molecule("H2O"), Frame(Atoms("CO"), forces=np.zeros((2, 3)))]
    with pytest.raises(ValueError, match="no frame with an energy contains C: give"):
        reference_energies(frames)
    with pytest.raises(ValueError, match="contains C, O"):
        reference_energies([frames[1]])


def test_forces_alone_with_given_energies() -> None:
    frames = [Frame(Atoms("CO"), forces=np.zeros((2, 3)))]
    found = reference_energies(frames, given=TRUE)
    assert np.isnan(found.residual)


def test_isolated_atoms_of_a_published_set(shared: Path) -> None:
    folder = shared / "data/botnet_ethanol"
    paths = [str(folder / "isolated_atoms.xyz.xz"), str(folder / "test_eth_meth.xyz.xz")]
    frames = read_frames(DataSettings(paths))
    found = reference_energies(frames)
    assert found.energies["H"] == -13.568422383046626
    assert set(found.origins.values()) == {"isolated atom"}
    # Ethanol and methanol are bound by 3 to 6 eV per atom.
    assert 3.0 < found.residual < 6.0


def test_table_shows_energy_and_origin() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(reference_energies([Frame(Atoms("H"), energy=-13.5)]).table())
    assert "-13.500000" in captured.get()
    assert "isolated atom" in captured.get()


def test_force_rms(rng: np.random.Generator) -> None:
    forces = rng.normal(size=(3, 3)), rng.normal(size=(5, 3))
    frames = [molecule("H2O", forces=forces[0]), molecule("CH4", forces=forces[1]), molecule("CO2")]
    expected = np.sqrt(
        np.concatenate([f.ravel() for f in forces])
        @ np.concatenate([f.ravel() for f in forces])
        / 24
    )
    assert force_rms(frames) == pytest.approx(expected)
    with pytest.raises(ValueError, match="no frame has forces"):
        force_rms(frames[2:])
