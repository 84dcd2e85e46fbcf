from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.io import read, write

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.recipes.relaxation.cell import LogStrainFilter
from ase_geomformer.recipes.relaxation.optimizers import OPTIMIZERS, choose

# ASE's EMT has its lattice constant of copper here.
LATTICE_CU_A = 3.58983
TIGHT = RelaxSettings(fmax=1e-4, smax_GPa=1e-3)


class Wells(Calculator):
    """Every atom in a harmonic well of its own: sum_i k/2 |r_i - s_i|^2.

    Attributes
    ----------
    evaluations : int
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, sites: np.ndarray, stiffness: float = 5.0) -> None:
        super().__init__()
        self.sites, self.stiffness, self.evaluations = sites, stiffness, 0

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.evaluations += 1
        d = self.atoms.positions - self.sites
        self.results = {
            "energy": 0.5 * self.stiffness * float((d**2).sum()),
            "forces": -self.stiffness * d,
        }


@pytest.fixture
def strained_copper() -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.66)
    atoms.rattle(0.03, seed=1)
    return atoms


@pytest.fixture
def cluster() -> tuple[Atoms, Wells]:
    atoms = molecule("CH3CH2OH")
    wells = Wells(atoms.get_positions())
    atoms.rattle(0.1, seed=2)
    return atoms, wells


def run(atoms: Atoms, calculator: Any, settings: RelaxSettings, **keywords: Any) -> Any:
    return relax(atoms, calculator, settings, progress=False, **keywords)


def test_the_filter_has_the_coordinates_and_forces_of_ase(strained_copper: Atoms) -> None:
    rng = np.random.default_rng(0)
    step = rng.normal(scale=0.1, size=(7, 3))
    for options in (
        {},
        {"hydrostatic_strain": True},
        {"constant_volume": True},
        {"mask": [1, 1, 0, 0, 0, 1], "scalar_pressure": 0.1},
    ):
        found = []
        for kind in (FrechetCellFilter, LogStrainFilter):
            atoms = strained_copper.copy()
            atoms.calc = EMT()
            filtered = kind(atoms, **options)
            before = filtered.get_positions()
            filtered.set_positions(before + step)
            forces = filtered.get_forces()
            moved = filtered.get_positions() - before
            found.append((atoms.positions, atoms.cell.array, forces, filtered.stress, moved))
        for ours, ase in zip(*found, strict=True):
            np.testing.assert_allclose(ours, ase, atol=1e-11)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_finds_the_lattice_constant(optimizer: Any, strained_copper: Atoms) -> None:
    before = strained_copper.copy()
    settings = replace(TIGHT, cell="full", optimizer=optimizer)
    result = run(strained_copper, EMT(), settings)
    assert result.converged
    assert result.fmax < 1e-4
    assert result.smax_GPa < 1e-3
    # The soft shear of copper, 2 C' = 30 GPa, lets 1e-3 GPa strain the cell by 3e-5.
    np.testing.assert_allclose(result.atoms.cell.lengths(), LATTICE_CU_A, atol=1.2e-4)
    assert result.optimizer == optimizer
    assert (result.space_group_before, result.space_group_after) == ("P1 (1)", "Fm-3m (225)")
    assert strained_copper == before
    assert strained_copper.calc is None


def test_pressure_is_in_GPa(strained_copper: Atoms) -> None:
    settings = replace(TIGHT, cell="full", pressure_GPa=5.0)
    atoms = run(strained_copper, EMT(), settings).atoms
    stress = atoms.get_stress() / units.GPa
    np.testing.assert_allclose(stress, [-5.0, -5.0, -5.0, 0, 0, 0], atol=1.1e-3)


def test_hydrostatic_keeps_the_shape_and_constant_volume_the_volume() -> None:
    atoms = bulk("Cu", cubic=True, a=3.66)
    atoms.set_cell(atoms.cell * [[1.0], [1.0], [1.05]], scale_atoms=True)
    scaled = run(atoms, EMT(), replace(TIGHT, cell="hydrostatic"))
    assert scaled.converged
    a, b, c = scaled.atoms.cell.lengths()
    assert (b / a, c / a) == pytest.approx((1.0, 1.05), abs=1e-12)
    assert abs(np.trace(scaled.atoms.get_stress(voigt=False))) / 3 / units.GPa < 1e-3
    sheared = run(atoms, EMT(), replace(TIGHT, cell="constant-volume"))
    assert sheared.converged
    assert sheared.atoms.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-9)
    np.testing.assert_allclose(sheared.atoms.cell.lengths(), atoms.get_volume() ** (1 / 3), 1e-4)


def test_masked_components_stay() -> None:
    atoms = bulk("Cu", cubic=True, a=3.66)
    result = run(atoms, EMT(), replace(TIGHT, cell="full", cell_mask="xx yy"))
    assert result.converged
    assert result.atoms.cell.lengths()[2] == pytest.approx(3.66, abs=1e-12)
    assert result.atoms.cell.lengths()[0] < 3.6
    assert abs(result.atoms.get_stress()[2]) / units.GPa > 1.0


def test_constraints_are_honoured_and_kept(cluster: tuple[Atoms, Wells]) -> None:
    atoms, wells = cluster
    atoms.set_constraint(FixAtoms([0, 3]))
    result = run(atoms, wells, TIGHT)
    assert result.converged
    np.testing.assert_array_equal(result.atoms.positions[[0, 3]], atoms.positions[[0, 3]])
    free = np.setdiff1d(np.arange(len(atoms)), [0, 3])
    np.testing.assert_allclose(result.atoms.positions[free], wells.sites[free], atol=1e-4)
    assert result.atoms.constraints[0].index.tolist() == [0, 3]
    assert np.abs(result.atoms.get_forces(apply_constraint=False)[0]).max() > 0.1


def test_symmetry_is_kept_only_when_asked() -> None:
    atoms = bulk("Cu", cubic=True, a=3.66)
    atoms.positions[0] += [1e-3, 2e-3, 0.0]
    kept = run(atoms, EMT(), replace(TIGHT, cell="full", keep_symmetry=True))
    assert kept.converged
    assert kept.space_group_before == kept.space_group_after == "Fm-3m (225)"
    lengths = kept.atoms.cell.lengths()
    assert np.ptp(lengths) < 1e-12
    assert kept.atoms.positions[1] == pytest.approx(
        kept.atoms.positions[0] + [0, lengths[0] / 2, lengths[0] / 2], abs=1e-10
    )
    with pytest.raises(ValueError, match="keep_symmetry needs a crystal"):
        run(molecule("H2O"), EMT(), replace(TIGHT, keep_symmetry=True))


def test_convergence_is_measured_not_counted(cluster: tuple[Atoms, Wells]) -> None:
    atoms, wells = cluster
    needed = run(atoms, wells, TIGHT).steps
    assert needed > 2
    exactly = run(atoms, wells, replace(TIGHT, steps=needed))
    assert exactly.converged
    assert exactly.steps == needed
    short = run(atoms, wells, replace(TIGHT, steps=needed - 1))
    assert not short.converged
    assert short.steps == needed - 1
    assert "the maximum" in short.reason
    assert short.fmax > 1e-4
    at_rest = run(exactly.atoms, wells, replace(TIGHT, steps=0))
    assert at_rest.converged
    assert at_rest.steps == 0


def test_stress_alone_keeps_a_run_from_convergence() -> None:
    atoms = bulk("Cu", cubic=True, a=3.66)
    result = run(atoms, EMT(), replace(TIGHT, cell="full", steps=1))
    assert result.fmax < 1e-4
    assert not result.converged


class Faulty(Wells):
    """Wells whose forces are NaN from an evaluation on."""

    def calculate(self, *arguments: Any, **keywords: Any) -> None:
        super().calculate(*arguments, **keywords)
        if self.evaluations > 2:
            self.results["forces"] = np.full_like(self.sites, np.nan)


class Repulsion(Wells):
    """Atoms that push each other apart, up to 8 Å."""

    def calculate(self, *arguments: Any, **keywords: Any) -> None:
        super().calculate(*arguments, **keywords)
        d = self.atoms.get_all_distances(vector=True)
        r = np.linalg.norm(d, axis=-1) + np.eye(len(d))
        close = (r < 8.0) & ~np.eye(len(d), dtype=bool)
        push = np.where(close, 8.0 - r, 0.0)
        self.results = {
            "energy": 0.25 * float((push**2).sum()),
            "forces": -(push[..., None] * d / r[..., None]).sum(axis=1),
        }


def test_a_structure_that_explodes_is_named(cluster: tuple[Atoms, Wells]) -> None:
    atoms, wells = cluster
    result = run(atoms, Faulty(wells.sites), TIGHT)
    assert not result.converged
    assert result.damage.startswith("exploded: the energy or a force is not finite")
    assert result.damage in result.reason
    water = molecule("H2O")
    apart = run(water, Repulsion(water.positions), TIGHT)
    assert apart.fmax < 1e-4
    assert apart.damage.startswith("exploded: 3 of 3 atoms")
    assert not apart.converged


def test_dissociation_and_collapse_are_named() -> None:
    water = molecule("H2O")
    sites = water.get_positions()
    sites[2] += 1.2 * (sites[2] - sites[0])
    result = run(water, Wells(sites), replace(TIGHT, steps=100))
    assert result.converged
    assert result.damage == "dissociated: 2 fragments, where the start had 1"
    assert "dissociated" in result.reason
    sites = water.get_positions()
    sites[2] = sites[0] + [0.0, 0.0, 0.1]
    assert "collapsed: atoms" in run(water, Wells(sites), TIGHT).damage
    assert run(water, Wells(water.get_positions()), TIGHT).damage is None


@pytest.mark.parametrize("optimizer", ["bfgs", "fire2", "lbfgs-linesearch"])
def test_a_resumed_run_is_the_uninterrupted_one(
    optimizer: Any, cluster: tuple[Atoms, Wells], tmp_path: Path
) -> None:
    atoms, wells = cluster
    settings = replace(TIGHT, optimizer=optimizer)
    whole = run(atoms, wells, settings)
    run(atoms, wells, replace(settings, steps=3), output=tmp_path / "run")
    fresh = Wells(wells.sites)
    resumed = run(atoms, fresh, settings, output=tmp_path / "run", resume=True)
    assert resumed.steps == whole.steps
    np.testing.assert_array_equal(resumed.atoms.positions, whole.atoms.positions)
    np.testing.assert_array_equal(resumed.history["energy_eV"], whole.history["energy_eV"])
    frames = read(tmp_path / "run" / "trajectory.traj", index=":")
    assert [frame.get_potential_energy() for frame in frames] == list(whole.history["energy_eV"])
    if optimizer == "bfgs":  # the first evaluation checks the structure
        assert fresh.evaluations == whole.steps - 3 + 1
    with pytest.raises(ValueError, match="another structure"):
        run(molecule("CH4"), EMT(), settings, output=tmp_path / "run", resume=True)


def test_files_and_exit_code(potential: Potential, tmp_path: Path, capsys: Any) -> None:
    save_potential(potential, tmp_path / "p", Card("random"), [molecule("CH3CH2OH")])
    ethanol = molecule("CH3CH2OH")
    write(tmp_path / "ethanol.xyz", ethanol)
    run_folder = tmp_path / "run"
    words = ["--potential", str(tmp_path / "p"), "--structure", str(tmp_path / "ethanol.xyz")]
    words += ["--output", str(run_folder), "--fmax", "0.5"]
    assert main(["relax", *words, "--steps", "1", "--progress", "false"]) == 1
    assert main(["geomopt", *words, "--steps", "60", "--resume"]) == 0
    assert "largest force" in capsys.readouterr().out
    names = {"settings.yaml", "result.json", "relax.png", "trajectory.traj", "final.extxyz"}
    names |= {"final.traj", "evaluation.json"}
    assert {file.name for file in run_folder.iterdir()} == names
    content = json.loads((run_folder / "result.json").read_text())
    assert content["converged"] is True
    assert content["provenance"]["dtype"] == "float64"
    final = read(run_folder / "final.extxyz")
    assert content["energy_eV"] == pytest.approx(final.get_potential_energy(), abs=1e-6)


@pytest.mark.parametrize(
    ("atoms", "settings", "message"),
    [
        (Atoms(), {}, "no atoms"),
        (molecule("H2O"), {"cell": "full"}, "cell of three vectors"),
        (fcc111("Cu", (1, 1, 3), vacuum=5.0), {"cell": "full"}, "would change its vacuum"),
    ],
)
def test_what_does_not_fit_is_refused(
    atoms: Atoms, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run(atoms, EMT(), RelaxSettings(**settings), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pressure_GPa": 1.0}, "pressure_GPa = 1.0 must be 0 where cell = none"),
        ({"cell": "full", "cell_mask": "xx zx"}, "cell_mask = 'xx zx' must be some of xx yy"),
        ({"cell": "hydrostatic", "cell_mask": "xx"}, "must be full for a cell_mask"),
        ({"maxstep_A": 2.0}, "from 1e-06 to 1 Å"),
        ({"fmax": 0.0}, "fmax = 0.0 must be positive"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RelaxSettings(**settings)


def test_the_automatic_choice_follows_the_structure() -> None:
    large = bulk("Cu", cubic=True) * (3, 3, 3)
    assert choose("auto", molecule("H2O")) == "bfgs"
    assert choose("auto", large) == "precon-lbfgs"
    assert choose("auto", large, batched=True) == "lbfgs"
    assert choose("fire", large) == "fire"
