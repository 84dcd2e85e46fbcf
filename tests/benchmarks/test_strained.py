"""Elastic constants from strained frames, of a crystal under stress."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.data.frames import Frame
from ase_geomformer.recipes import EOSSettings, eos
from benchmarks.strained import fit, strained

COMPRESSED = 3.55


def frame(deformation: np.ndarray, group: str = "Elastic") -> Frame:
    atoms = bulk("Cu", cubic=True, a=COMPRESSED)
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    atoms.calc = EMT()
    stress = atoms.get_stress(voigt=False)
    atoms.calc = None
    atoms.info["group"] = group
    return Frame(atoms, stress=stress)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    made = [frame(np.eye(3)), frame(1.02 * np.eye(3), group="AIMD-NVT")]
    for size in (-0.06, -0.02, -0.01, 0.01, 0.02):
        for axis, other in ((0, 1), (1, 2), (2, 0)):
            stretch, shear = np.eye(3), np.eye(3)
            stretch[axis, axis] += size
            shear[axis, other] = shear[other, axis] = size / 2.0
            made += [frame(stretch), frame(shear)]
    return made


def test_large_strains_and_other_groups_are_left_out(frames):
    # Shears by 0.06 turn each edge by half of it.
    assert len(strained(frames)) == 1 + 5 * 6 - 3


def test_constants_are_the_derivatives_of_the_stress(frames):
    chosen = strained(frames)
    found = fit(chosen, [it.stress for it in chosen], 4)
    step = 1e-4
    stretch, shear = np.diag([step, 0.0, 0.0]), np.zeros((3, 3))
    shear[1, 2] = shear[2, 1] = step / 2.0

    def slope(strain: np.ndarray) -> np.ndarray:
        pair = (frame(np.eye(3) + strain), frame(np.eye(3) - strain))
        return (pair[0].stress - pair[1].stress) / (2.0 * step) * 160.21766

    assert found.lattice_constant_A == pytest.approx(COMPRESSED)
    assert found.stress_GPa == pytest.approx(frame(np.eye(3)).stress[0, 0] * 160.21766, rel=2e-2)
    assert found.c11_GPa == pytest.approx(slope(stretch)[0, 0], rel=1e-2)
    assert found.c12_GPa == pytest.approx(slope(stretch)[1, 1], rel=1e-2)
    assert found.c44_GPa == pytest.approx(slope(shear)[1, 2], rel=1e-2)


def test_the_lattice_constant_without_stress(frames):
    """By the equation of state of the same calculator."""
    curve = eos(bulk("Cu", a=COMPRESSED), EMT(), EOSSettings(), progress=False)
    chosen = strained(frames)
    found = fit(chosen, [it.stress for it in chosen], 4)
    at_rest = found.relaxed_lattice_constant_A(curve.fit.bulk_modulus_derivative)
    assert at_rest == pytest.approx((4.0 * curve.fit.volume_A3) ** (1 / 3), abs=1e-3)
    assert at_rest - COMPRESSED > 0.03


def test_the_page_shows_what_was_measured(root):
    file = root / "docs/benchmarks/elastic.json"
    shown = subprocess.run(
        [sys.executable, root / "benchmarks/elastic.py", "--show", file],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert len(shown.splitlines()) == 2 + len(json.loads(file.read_text())["rows"])
    assert shown in (root / "docs/recipes.md").read_text(encoding="utf-8")
