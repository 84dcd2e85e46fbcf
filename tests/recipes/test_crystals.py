from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.eos import birchmurnaghan
from ase.io import read, write
from scipy.spatial.transform import Rotation

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import (
    ElasticSettings,
    EOSSettings,
    RelaxSettings,
    cohesive_energy,
    elastic,
    eos,
    surface_energy,
    vacancy_formation_energy,
)
from ase_geomformer.recipes.elasticity import tensor as tensors
from ase_geomformer.recipes.equation_of_state.fit import EQUATIONS, fit, fit_all
from tests.recipes.pair import Morse


def run_eos(atoms: Atoms, calculator: Any, **settings: Any) -> Any:
    return eos(atoms, calculator, EOSSettings(**settings), progress=False)


def run_elastic(atoms: Atoms, calculator: Any, **settings: Any) -> Any:
    return elastic(atoms, calculator, ElasticSettings(**settings), progress=False)


def test_a_fit_finds_the_curve_it_was_given() -> None:
    volumes = np.linspace(36.0, 44.0, 11)
    bulk_modulus, derivative = 140.0 * units.GPa, 4.7
    energies = birchmurnaghan(volumes, -1000.0, bulk_modulus, derivative, 40.3)
    found = fit(volumes, energies, "birchmurnaghan")
    assert found.volume_A3 == pytest.approx(40.3, abs=1e-6)
    assert found.energy_eV == pytest.approx(-1000.0, abs=1e-8)
    assert found.bulk_modulus_GPa == pytest.approx(140.0, abs=1e-4)
    assert found.bulk_modulus_derivative == pytest.approx(4.7, abs=1e-4)
    assert found.rms_residual_meV < 1e-5
    others = fit_all(volumes, energies)
    assert set(others) == set(EQUATIONS)
    for other in others.values():
        assert other.bulk_modulus_GPa == pytest.approx(140.0, rel=0.03)


def test_standard_errors_cover_the_scatter() -> None:
    # Of many fits to noisy energies, the spread is what each of them says it is.
    volumes = np.linspace(36.0, 44.0, 11)
    exact = birchmurnaghan(volumes, -5.0, 140.0 * units.GPa, 4.7, 40.3)
    rng = np.random.default_rng(0)
    fits = [
        fit(volumes, exact + rng.normal(scale=1e-4, size=11), "birchmurnaghan") for _ in range(60)
    ]
    for name, error in (
        ("volume_A3", "volume_error_A3"),
        ("bulk_modulus_GPa", "bulk_modulus_error_GPa"),
        ("bulk_modulus_derivative", "bulk_modulus_derivative_error"),
    ):
        spread = np.std([getattr(found, name) for found in fits])
        claimed = np.sqrt(np.mean([getattr(found, error) ** 2 for found in fits]))
        assert claimed == pytest.approx(spread, rel=0.3)


def test_eos_and_elasticity_of_a_pair_crystal_agree_with_its_lattice_sums(tmp_path: Path) -> None:
    pair = Morse()
    lattice, bulk_modulus = pair.fcc()
    atoms = bulk("Ar", "fcc", a=1.02 * lattice)
    found = eos(atoms, pair, EOSSettings(volume_range=0.03), output=tmp_path, progress=False)
    assert found.converged
    assert found.fit.volume_A3 == pytest.approx(lattice**3 / 4, rel=1e-4)
    assert found.fit.bulk_modulus_GPa == pytest.approx(bulk_modulus, rel=2e-3)
    assert found.atoms.get_volume() == pytest.approx(found.fit.volume_A3)
    names = {"settings.yaml", "result.json", "eos.png", "scan.traj", "final.extxyz"}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert len(read(tmp_path / "scan.traj", index=":")) == 9
    constants = run_elastic(atoms, pair, max_strain=0.002)
    assert constants.converged
    assert constants.moduli.bulk_hill_GPa == pytest.approx(bulk_modulus, rel=1e-3)
    # Central forces in a crystal of inversion centres: Cauchy's relation.
    assert constants.constants_GPa[0, 1] == pytest.approx(constants.constants_GPa[3, 3], rel=1e-3)


def test_elastic_constants_follow_the_crystal_when_it_is_turned() -> None:
    atoms = bulk("Cu", a=3.6)
    straight = run_elastic(atoms, EMT(), points=3)
    assert straight.crystal_class == "cubic"
    assert straight.stable
    c = straight.constants_GPa
    np.testing.assert_allclose(c, straight.standard_constants_GPa, atol=1e-6)
    assert straight.zener_anisotropy == pytest.approx(2 * c[3, 3] / (c[0, 0] - c[0, 1]))
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 0.8]).as_matrix()
    atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    turned = run_elastic(atoms, EMT(), points=3)
    # Strains along other axes see other parts of the anharmonicity, of the order of the strain
    # squared: 0.3 % of C11 for strains of 0.5 %.
    np.testing.assert_allclose(turned.standard_constants_GPa, c, atol=0.5)
    np.testing.assert_allclose(turned.constants_GPa, tensors.rotated(c, turn), atol=0.5)
    assert turned.asymmetry_GPa < 0.5


def test_a_start_that_is_not_relaxed_is_refused(tmp_path: Path) -> None:
    settings = ElasticSettings(relax_first=False)
    with pytest.raises(ValueError, match="not relaxed: its largest force .* stress"):
        elastic(bulk("Cu", a=3.7), EMT(), settings, output=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    for recipe in (eos, elastic):
        with pytest.raises(ValueError, match="needs a crystal"):
            recipe(molecule("H2O"), EMT(), progress=False)


def test_relaxed_ions_soften_the_shear_of_a_crystal_with_a_basis(
    make_potential: Any, silicon: Atoms
) -> None:
    # Hexagonal close packing has atoms off the centres of inversion, so that strain moves them.
    atoms = bulk("Cu", "hcp", a=2.54, c=4.15)
    clamped = run_elastic(atoms, EMT(), points=3, relax_ions=False)
    relaxed = run_elastic(atoms, EMT(), points=3)
    assert relaxed.crystal_class == "hexagonal"
    c = relaxed.constants_GPa
    assert c[5, 5] == pytest.approx((c[0, 0] - c[0, 1]) / 2, rel=1e-6)
    assert c[5, 5] < clamped.constants_GPa[5, 5] - 1.0
    assert relaxed.zener_anisotropy is None


def test_an_equation_of_state_whose_minimum_is_elsewhere_is_not_converged() -> None:
    atoms = bulk("Cu", a=3.9)
    result = run_eos(atoms, EMT(), relax_first=False, volume_range=0.02)
    assert not result.converged
    assert "relax the cell first" in result.reason


def test_moduli_of_an_isotropic_solid() -> None:
    bulk_modulus, shear = 100.0, 40.0
    lame = bulk_modulus - 2 * shear / 3
    c = np.diag([2 * shear] * 3 + [shear] * 3).astype(float)
    c[:3, :3] += lame
    found = tensors.moduli(c)
    for average in ("voigt", "reuss", "hill"):
        assert getattr(found, f"bulk_{average}_GPa") == pytest.approx(bulk_modulus)
        assert getattr(found, f"shear_{average}_GPa") == pytest.approx(shear)
    assert found.universal_anisotropy == pytest.approx(0.0, abs=1e-12)
    assert found.poisson_hill == pytest.approx(lame / (2 * (lame + shear)))
    assert tensors.zener(c) == pytest.approx(1.0)
    np.testing.assert_allclose(tensors.stability(c)[[0, -1]], [2 * shear, 3 * bulk_modulus])
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 0.8]).as_matrix()
    np.testing.assert_allclose(tensors.rotated(c, turn), c, atol=1e-10)
    errors = np.where(c == shear, 2.0, 0.0)
    voigt = tensors.propagated(lambda x: tensors.moduli(x).shear_voigt_GPa, c, errors)
    assert voigt == pytest.approx(2.0 * 3 / 5)


def test_symmetrization_makes_a_tensor_cubic(rng: np.random.Generator) -> None:
    axes = np.array([np.roll(np.eye(3), shift, axis=0) for shift in range(3)])
    signs = np.array([np.diag(s) for s in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))])
    group = np.einsum("aij,bjk->abik", axes, signs).reshape(-1, 3, 3)
    raw = rng.normal(size=(6, 6))
    c = tensors.symmetrized(raw, group)
    np.testing.assert_allclose(c, c.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(c), [np.diag(raw)[:3].mean()] * 3 + [c[3, 3]] * 3)
    np.testing.assert_allclose(c[3:, :3], 0.0, atol=1e-12)
    np.testing.assert_allclose(tensors.symmetrized(c, group), c, atol=1e-12)


def test_energies_of_vacancy_surface_and_cohesion() -> None:
    # A pair crystal that cannot relax, as its atoms reach no further than the first neighbours:
    # a vacancy breaks twelve bonds and gives six back, a (111) face breaks three for each atom.
    pair = Morse(cutoff=4.4)
    lattice, _ = pair.fcc()
    bond = pair.bond_energy(lattice / np.sqrt(2))
    crystal = bulk("Ar", cubic=True, a=lattice) * (2, 2, 2)
    fixed = RelaxSettings(steps=0)
    vacancy = vacancy_formation_energy(crystal, pair, settings=fixed)
    assert vacancy.value == pytest.approx(6 * bond, rel=1e-6)
    assert vacancy.unit == "eV"
    slab = fcc111("Ar", (1, 1, 6), a=lattice, vacuum=10.0, periodic=True)
    surface = surface_energy(slab, bulk("Ar", "fcc", a=lattice), pair, settings=fixed)
    area = lattice**2 * np.sqrt(3) / 4
    assert surface.value == pytest.approx(1.5 * bond / area * 16.0217663, rel=1e-6)
    cohesion = cohesive_energy(bulk("Ar", "fcc", a=1.01 * lattice), pair)
    assert cohesion.converged
    assert cohesion.value == pytest.approx(6 * bond, rel=1e-4)
    given = cohesive_energy(molecule("H2O"), EMT(), fixed, atom_energies={"H": -1.0, "O": -2.0})
    water = given.relaxations["structure"].energy
    assert given.value == pytest.approx((-4.0 - water) / 3)


def test_relaxation_lowers_the_energy_of_a_vacancy() -> None:
    crystal = bulk("Cu", cubic=True, a=3.58983) * (2, 2, 2)
    stiff = vacancy_formation_energy(crystal, EMT(), settings=RelaxSettings(steps=0))
    soft = vacancy_formation_energy(crystal, EMT())
    assert soft.converged
    assert not stiff.converged
    assert "vacancy" in stiff.reason
    assert 0.5 < soft.value < stiff.value - 0.01


def test_what_these_energies_cannot_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="several elements"):
        vacancy_formation_energy(bulk("NaCl", "rocksalt", a=5.6), EMT())
    with pytest.raises(ValueError, match="give a supercell"):
        vacancy_formation_energy(bulk("Cu"), EMT())
    with pytest.raises(ValueError, match="must be 'none'"):
        vacancy_formation_energy(bulk("Cu", cubic=True), EMT(), settings=RelaxSettings(cell="full"))
    with pytest.raises(ValueError, match="stoichiometric"):
        surface_energy(bulk("NaCl", "rocksalt", a=5.6), bulk("Cu"), EMT())
    with pytest.raises(ValueError, match="atom_energies has none for O"):
        cohesive_energy(molecule("H2O"), EMT(), atom_energies={"H": -1.0})


def test_commands(potential: Potential, silicon: Atoms, tmp_path: Path) -> None:
    save_potential(potential, tmp_path / "p", Card("random"), [silicon])
    write(tmp_path / "si.extxyz", bulk("Si"))
    words = ["--potential", str(tmp_path / "p"), "--structure", str(tmp_path / "si.extxyz")]
    words += ["--relax_first", "false", "--relax_ions", "false", "--progress", "false"]
    code = main(["eos", *words, "--points", "5", "--output", str(tmp_path / "eos")])
    assert code == 1  # random weights have no minimum to find
    content = json.loads((tmp_path / "eos" / "result.json").read_text())
    assert content["provenance"]["dtype"] == "float64"
    assert len(content["volumes_A3"]) == 5
    loose = ["--smax_GPa", "1e9", "--fmax", "1e9", "--points", "3"]
    assert main(["elastic", *words, *loose, "--output", str(tmp_path / "elastic")]) == 0
    content = json.loads((tmp_path / "elastic" / "result.json").read_text())
    assert content["crystal_class"] == "cubic"
    assert {file.name for file in (tmp_path / "elastic").iterdir()} == {
        "settings.yaml", "result.json", "elastic.png", "strains.npz", "final.extxyz",
    }  # fmt: skip
