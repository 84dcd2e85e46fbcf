from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.mep import NEB

from ase_geomformer.cli import main
from ase_geomformer.evaluate import SerialEvaluator
from ase_geomformer.recipes import NEBSettings, neb
from ase_geomformer.recipes.interpolation import interpolated
from ase_geomformer.recipes.path.band import Band
from ase_geomformer.recipes.path.ends import checked_path

from .conftest import ENERGIES, SADDLES, SCALE, MuellerBrown, at

SHORT = NEBSettings(images=7, step_A=1e-4)


class Counting(SerialEvaluator):
    """An evaluator that keeps the number of structures in each call."""

    def __init__(self, calculator: Any) -> None:
        super().__init__(calculator)
        self.sizes: list[int] = []

    def __call__(self, structures: Any, properties: Any = (), **options: Any) -> Any:
        structures = list(structures)
        self.sizes.append(len(structures))
        return super().__call__(structures, properties, **options)


def hop() -> list[Atoms]:
    """A copper atom on Cu(111), in an fcc hollow and in the hcp hollow beside it."""
    ends = []
    for site in ("fcc", "hcp"):
        slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
        add_adsorbate(slab, "Cu", 1.9, site)
        slab.set_constraint(FixAtoms(range(4)))
        ends.append(slab)
    return ends


@pytest.fixture(scope="module")
def hopping() -> Any:
    return neb(hop(), EMT(), NEBSettings(images=5, fmax=0.01), progress=False)


@pytest.mark.parametrize("optimizer", ["fire", "ode"])
def test_known_barriers(optimizer: str, surface: MuellerBrown) -> None:
    """From A to C over a bend, and on to B: two saddle points of known energy."""
    for first, last, name in (("A", "C", "AC"), ("C", "B", "CB")):
        settings = NEBSettings(
            images=9, optimizer=optimizer, step_A=1e-4, fmax=0.02, ends_fmax=1e-4
        )
        result = neb([at(first), at(last)], surface, settings, progress=False)
        assert result.converged, result.reason
        place, energy = SADDLES[name]
        barrier = SCALE * (energy - ENERGIES[first])
        assert result.barrier_forward_eV == pytest.approx(barrier, abs=1e-5)
        assert result.barrier_reverse_eV == pytest.approx(
            SCALE * (energy - ENERGIES[last]), abs=1e-5
        )
        assert max(result.fit.fit_energies) == pytest.approx(barrier, abs=2e-3)
        assert result.saddle.is_transition_state
        np.testing.assert_allclose(result.saddle.atoms.positions[1, :2], place, atol=1e-3)
        np.testing.assert_allclose(result.images[result.highest].positions[1, :2], place, atol=1e-2)


def test_one_call_for_each_step(surface: MuellerBrown) -> None:
    counting = Counting(surface)
    settings = NEBSettings(images=7, relax=False, refine=False, vibrational_check=False)
    result = neb([at("A"), at("C")], counting, settings, progress=False)
    assert result.steps > 10
    # The ends once beforehand, all images once, and then five at a time.
    assert counting.sizes == [2, 7] + [5] * result.steps
    assert result.batches == result.steps + 1
    assert result.evaluations == 7 + 5 * result.steps


@pytest.mark.parametrize("climb", [False, True])
def test_forces_are_those_of_ase(climb: bool) -> None:
    ends = checked_path(hop(), NEBSettings())
    images = interpolated(*ends, 5)
    reference = [image.copy() for image in images]
    for image in reference:
        image.calc = EMT()
    theirs = NEB(reference, k=0.1, climb=climb, method="improvedtangent")
    band = Band(images, SerialEvaluator(EMT()), spring=0.1, align=False)
    band.climb = climb
    np.testing.assert_allclose(band.get_forces(), theirs.get_forces(), atol=1e-10)
    largest = np.linalg.norm(theirs.get_forces(), axis=1).max()
    assert band.get_residual() == pytest.approx(largest)


def test_an_adatom_hops_over_the_bridge(hopping: Any) -> None:
    assert hopping.converged, hopping.reason
    assert hopping.fmax <= 0.01
    assert hopping.saddle.is_transition_state
    # EMT has the hop of copper on Cu(111) below 0.1 eV.
    assert 0.01 < hopping.barrier_forward_eV < 0.1
    assert hopping.barrier_reverse_eV == pytest.approx(
        hopping.barrier_forward_eV - hopping.reaction_energy_eV
    )
    slab = hopping.images[0]
    for image in hopping.images:
        np.testing.assert_array_equal(image.positions[:4], slab.positions[:4])
    # Convergence is what the images show when they are evaluated anew.
    images = [image.copy() for image in hopping.images]
    for image in images:
        image.calc = EMT()
    band = NEB(images, k=0.1, climb=True, method="improvedtangent")
    assert np.linalg.norm(band.get_forces(), axis=1).max() == pytest.approx(hopping.fmax, abs=1e-8)


def test_a_vacancy_moves_across_the_boundary() -> None:
    """The corner atom jumps into the hole left by a neighbour on the other side of the cell."""
    crystal = bulk("Cu", cubic=True) * 2
    final = crystal.copy()
    way = crystal.get_all_distances(mic=True)[0]
    neighbour = int(np.flatnonzero(np.isclose(way, 3.61 / 2**0.5, atol=0.01))[-1])
    final.positions[0] = crystal.positions[neighbour]
    initial = crystal.copy()
    del initial[neighbour]
    del final[neighbour]
    settings = NEBSettings(images=5, fmax=0.05, refine=False, vibrational_check=False)
    result = neb([initial, final], EMT(), settings, progress=False)
    assert result.converged, result.reason
    assert result.reaction_energy_eV == pytest.approx(0.0, abs=2e-3)
    assert result.highest == 2
    assert 0.3 < result.barrier_forward_eV < 1.0
    assert result.fit.path[-1] < 4.0


def test_too_few_steps_are_told(surface: MuellerBrown) -> None:
    settings = NEBSettings(images=5, steps=2, fmax=1e-4)
    result = neb([at("A"), at("C")], surface, settings, progress=False)
    assert not result.converged
    assert result.steps == 2
    assert "after 2 steps, above fmax = 0.0001" in result.reason
    assert result.saddle is None


def test_a_goal_reached_on_the_last_step_counts(surface: MuellerBrown) -> None:
    settings = {"images": 5, "refine": False, "vibrational_check": False, "climb": False}
    free = neb([at("A"), at("C")], surface, NEBSettings(**settings), progress=False)
    assert free.converged
    exact = NEBSettings(**settings, steps=free.steps)
    assert neb([at("A"), at("C")], surface, exact, progress=False).converged
    fewer = NEBSettings(**settings, steps=free.steps - 1)
    assert not neb([at("A"), at("C")], surface, fewer, progress=False).converged


def test_an_intermediate_minimum_is_reported(surface: MuellerBrown) -> None:
    """The way from A to B passes C."""
    settings = NEBSettings(images=11, refine=False, vibrational_check=False, fmax=0.05)
    result = neb([at("A"), at("B")], surface, settings, progress=False)
    assert len(result.intermediates) == 1
    nearest = result.images[result.intermediates[0]].positions[1]
    assert np.linalg.norm(nearest - at("C").positions[1]) < 0.25


def test_ends_that_relax_to_one_minimum_are_refused(surface: MuellerBrown, tmp_path: Path) -> None:
    other = at("C")
    other.positions[1, :2] += [0.06, 0.06]
    with pytest.raises(ValueError, match="are the same minimum once they are relaxed"):
        neb([at("C"), other], surface, progress=False)


def test_a_broken_image_ends_the_run_with_a_reason(
    surface: MuellerBrown, monkeypatch: pytest.MonkeyPatch
) -> None:
    calculate, calls = MuellerBrown.calculate, [0]

    def break_down(self: Any, *arguments: Any) -> None:
        calculate(self, *arguments)
        calls[0] += 1
        if calls[0] == 30:
            self.results["energy"] = np.nan

    monkeypatch.setattr(MuellerBrown, "calculate", break_down)
    settings = NEBSettings(images=7, relax=False)
    result = neb([at("A"), at("C")], surface, settings, progress=False)
    assert not result.converged
    assert "stopped at step" in result.reason
    assert "not finite" in result.reason
    assert all(np.isfinite(image.get_potential_energy()) for image in result.images)


def test_the_folder_holds_what_is_promised(surface: MuellerBrown, tmp_path: Path) -> None:
    output = tmp_path / "run"
    result = neb([at("A"), at("C")], surface, SHORT, output=output, progress=False)
    assert {file.name for file in output.iterdir()} == {
        "images.traj", "saddle.extxyz", "neb.npz", "neb.png", "settings.yaml", "result.json",
    }  # fmt: skip
    stored = json.loads((output / "result.json").read_text())
    assert stored["converged"] is True
    assert stored["barrier_forward_eV"] == result.barrier_forward_eV
    assert len(stored["saddle"]["imaginary_per_cm"]) == 1
    images = read(output / "images.traj", index=":")
    assert [image.get_potential_energy() for image in images] == [
        image.get_potential_energy() for image in result.images
    ]
    with np.load(output / "neb.npz") as arrays:
        assert len(arrays["fmax_history_eV_per_A"]) == result.steps + 1


def test_resumes_from_the_last_images(surface: MuellerBrown, tmp_path: Path) -> None:
    ends, output = [at("A"), at("C")], tmp_path / "run"
    first = NEBSettings(images=7, steps=10, step_A=1e-4)
    stopped = neb(ends, surface, first, output=output, progress=False)
    assert not stopped.converged
    counting = Counting(surface)
    resumed = neb(ends, counting, SHORT, output=output, resume=True, progress=False)
    assert resumed.converged, resumed.reason
    assert resumed.steps > 10
    assert counting.sizes[:2] == [2, 7]
    whole = neb(ends, surface, SHORT, progress=False)
    assert resumed.barrier_forward_eV == pytest.approx(whole.barrier_forward_eV, abs=1e-6)
    with pytest.raises(ValueError, match="images was 7 .* is 9 now"):
        neb(
            ends,
            surface,
            NEBSettings(images=9, step_A=1e-4),
            output=output,
            resume=True,
            progress=False,
        )


def test_a_whole_path_may_be_given(hopping: Any) -> None:
    path = [image.copy() for image in hopping.images]
    result = neb(path, EMT(), NEBSettings(fmax=0.02, relax=False), progress=False)
    assert len(result.images) == 5
    assert result.steps <= 1
    assert result.barrier_forward_eV == pytest.approx(hopping.barrier_forward_eV, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 2}, "images = 2 must be from 3 to 1001"),
        ({"fmax": 0.0}, "fmax = 0.0 must be positive"),
        ({"optimizer": "bfgs"}, "must be one of fire, ode"),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NEBSettings(**options)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ethanol's hydroxyl group turns, with the shipped potential; one step is too few."""
    ethanol = molecule("CH3CH2OH")
    write(tmp_path / "trans.xyz", ethanol)
    ethanol.set_dihedral(0, 1, 2, 3, 60.0, indices=[3])
    write(tmp_path / "gauche.xyz", ethanol)
    words = [
        "neb", "--potential", "so3krates-rmd17-ethanol", "--structure", str(tmp_path / "trans.xyz"),
        "--output", str(tmp_path / "run"), "--images", "5", "--device", "cpu", "--steps", "1",
        "--relax", "false",
    ]  # fmt: skip
    assert main(words) == 2
    assert "a path needs two ends" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*words, "--final", str(tmp_path / "gauche.xyz")]) == 1
    assert "not converged: the largest force on the band" in capsys.readouterr().err
    assert len(read(tmp_path / "run" / "images.traj", index=":")) == 5
    settings = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert settings["final"] == str(tmp_path / "gauche.xyz")
    assert settings["images"] == 5
