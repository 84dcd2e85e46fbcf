from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc110, fcc111, hcp0001, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.optimize import BFGS

from ase_geomformer.cli import main
from ase_geomformer.recipes import AdsorptionSettings, adsorption
from ase_geomformer.recipes.adsorbates.sites import find_sites
from tests.recipes.pair import Morse

COPPER = 3.59
# Name and number of nearest atoms of the sites that ASE knows by name.
SITES = {
    fcc111: [("top", 1), ("bridge", 2), ("hollow 1", 3), ("hollow 2", 3)],
    hcp0001: [("top", 1), ("bridge", 2), ("hollow 1", 3), ("hollow 2", 3)],
    fcc100: [("top", 1), ("bridge", 2), ("hollow", 4)],
    fcc110: [("top", 1), ("bridge 1", 2), ("bridge 2", 2), ("hollow", 4)],
}


def turned(atoms: Atoms) -> Atoms:
    """A slab in another orientation in space, and shifted."""
    other = atoms.copy()
    other.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    other.positions += [1.3, -0.7, 2.1]
    return other


@pytest.mark.parametrize("face", SITES)
@pytest.mark.parametrize("repeat", [(1, 1, 1), (2, 2, 1)])
def test_sites_of_low_index_faces(face: object, repeat: tuple[int, ...]) -> None:
    symbol = "Ti" if face is hcp0001 else "Cu"
    slab = face(symbol, (1, 1, 4), vacuum=8.0) * repeat  # type: ignore[operator]
    for atoms in (slab, turned(slab)):
        sites = find_sites(atoms, 1.0, 0.01)
        assert [(site.name, site.neighbours) for site in sites] == SITES[face]  # type: ignore[index]
        # As many tops as atoms of the surface, and Euler's relation of what tiles a plane.
        area = repeat[0] * repeat[1]
        assert len(sites[0].points) == area
        bridges = sum(len(site.points) for site in sites if site.neighbours == 2)
        hollows = sum(len(site.points) for site in sites if site.neighbours > 2)
        assert bridges - hollows == area


def test_hollows_are_where_ase_puts_them() -> None:
    slab = fcc111("Cu", (1, 1, 3), a=COPPER, vacuum=8.0)
    by_name = {site.name: site for site in find_sites(slab, 1.0, 0.01)}
    for name, place in {"hollow 1": "hcp", "hollow 2": "fcc", "top": "ontop"}.items():
        both = slab.copy()
        add_adsorbate(both, "H", 1.0, place)
        away = by_name[name].points[:, :2] - both.positions[-1, :2]
        scaled = away @ np.linalg.inv(slab.cell.array[:2, :2])
        np.testing.assert_allclose(scaled - np.round(scaled), 0.0, atol=1e-6)


def test_a_pair_adatom_has_one_bond_for_each_atom_below() -> None:
    """On a held slab; the bonds of depth 0.3 eV are at their minimum, others out of reach."""
    pair = Morse(cutoff=4.4)
    slab = fcc111("Ar", (1, 1, 3), a=pair.r0 * np.sqrt(2), vacuum=12.0)
    settings = AdsorptionSettings(fixed_share=1.0, height_A=3.2, fmax=1e-4, steps=500)
    result = adsorption(slab, pair, settings, adsorbate="Ne", progress=False)
    assert result.converged, result.reason
    found = {one.site.name: one.adsorption_energy_eV for one in result.adsorbed}
    bonds = {"top": 1, "bridge": 2, "hollow 1": 3, "hollow 2": 3}
    assert found.keys() == bonds.keys()
    for name, number in bonds.items():
        assert found[name] == pytest.approx(-pair.depth * number, abs=1e-5)
    heights = {one.site.name: one.height_A for one in result.adsorbed}
    assert heights["top"] == pytest.approx(pair.r0, abs=1e-3)
    assert heights["hollow 1"] == pytest.approx(pair.r0 * np.sqrt(2 / 3), abs=1e-3)


def test_the_verb_agrees_with_ase_by_hand_and_resumes(tmp_path: Path) -> None:
    slab = fcc111("Cu", (2, 2, 3), a=COPPER, vacuum=8.0)
    slab.set_constraint(FixAtoms(slab.positions[:, 2] < slab.positions[:, 2].max() - 1.0))
    file, run = tmp_path / "slab.traj", tmp_path / "run"
    write(file, slab)
    words = ["adsorption", "--calculator", "emt", "--structure", str(file), "--adsorbate", "O"]
    words += ["--output", str(run), "--progress", "false", "--min_length_A", "4"]
    assert main(words) == 0
    content = json.loads((run / "result.json").read_text())
    energies = []
    for place in (None, "hcp", "fcc"):
        atoms = slab.copy()
        if place:
            add_adsorbate(atoms, "O", 1.3, place)
        atoms.calc = EMT()
        BFGS(atoms, logfile=None).run(fmax=0.01)
        energies.append(atoms.get_potential_energy())
    oxygen = Atoms("O", calculator=EMT()).get_potential_energy()
    found = {one["name"]: one["adsorption_energy_eV"] for one in content["sites"]}
    assert found["hollow 1"] == pytest.approx(energies[1] - energies[0] - oxygen, abs=1e-3)
    assert found["hollow 2"] == pytest.approx(energies[2] - energies[0] - oxygen, abs=1e-3)
    assert content["adsorption_energy_eV"] == min(found.values())
    assert len(read(run / "adsorbed.traj", ":")) == 4
    assert {"adsorption.png", "final.traj"} <= {path.name for path in run.iterdir()}
    lines = (run / "finished.jsonl").read_text().splitlines(keepends=True)
    (run / "finished.jsonl").write_text("".join(lines[:3]))
    assert main([*words, "--resume"]) == 0
    again = json.loads((run / "result.json").read_text())
    assert again["sites"] == content["sites"]


def test_a_molecule_stands_on_its_binding_atom() -> None:
    slab = fcc100("Cu", (2, 2, 3), a=COPPER, vacuum=8.0)
    settings = AdsorptionSettings(binding_atom=1, min_length_A=4.0, steps=0)
    result = adsorption(slab, EMT(), settings, adsorbate="CO", progress=False)
    assert not result.converged
    for one in result.adsorbed:
        carbon, oxygen = one.atoms.positions[-1], one.atoms.positions[-2]
        assert one.atoms.symbols[-1] == "C"
        np.testing.assert_allclose((oxygen - carbon)[:2], 0.0, atol=1e-9)
        assert oxygen[2] > carbon[2]


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0)
    with pytest.raises(ValueError, match="adsorption needs a slab"):
        adsorption(molecule("CO"), EMT(), adsorbate="O", output=tmp_path / "run")
    with pytest.raises(ValueError, match="of empty space along its normal"):
        adsorption(bulk("Cu", cubic=True), EMT(), adsorbate="O")
    with pytest.raises(ValueError, match="is no file, element or molecule"):
        adsorption(slab, EMT(), adsorbate="nothing")
    with pytest.raises(ValueError, match="binding_atom = 2 must be below 2"):
        adsorption(slab, EMT(), AdsorptionSettings(binding_atom=2), adsorbate="CO")
    assert not list(tmp_path.iterdir())
