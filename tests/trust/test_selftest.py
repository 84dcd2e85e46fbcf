"""The self-test passes what is right, and every check catches the fault it is there for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import write

from ase_geomformer import PotentialCalculator, selftest
from ase_geomformer.cli import main
from ase_geomformer.potential import Potential
from ase_geomformer.trust.run import all_checks

DYNAMICS = "energy conservation"
STATIC = tuple(name for name in all_checks() if name != DYNAMICS)


@pytest.fixture
def crystal() -> Atoms:
    """A rattled argon crystal of four atoms."""
    atoms = bulk("Ar", cubic=True, a=5.3)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.fixture
def cluster(crystal: Atoms) -> Atoms:
    cluster = crystal.repeat((2, 1, 1))
    cluster.pbc = False
    cluster.cell[:] = 0.0
    return cluster


class Faulty(LennardJones):
    """A smooth Lennard-Jones calculator with one fault."""

    def __init__(self, fault: str) -> None:
        super().__init__(sigma=3.4, epsilon=0.0104, rc=7.0, ro=5.0, smooth=True)
        self.fault, self.calls = fault, 0

    def calculate(self, atoms: Any = None, properties: Any = None, changes: Any = None) -> None:
        self.calls += 1
        super().calculate(atoms, properties, changes)
        results, weights = self.results, np.arange(len(atoms))
        if self.fault == "place":
            results["energy"] += 1e-3 * atoms.positions[:, 0].sum()
        elif self.fault == "axis":
            results["energy"] += 1e-3 * np.ptp(atoms.positions[:, 0])
        elif self.fault == "order":
            results["energy"] += 1e-3 * float(weights @ atoms.get_all_distances()[0])
        elif self.fault == "cell":
            results["energy"] += 1e-3 * atoms.get_scaled_positions(wrap=False).max()
        elif self.fault == "boundaries":
            results["energy"] += 1e-3 * atoms.pbc.sum()
        elif self.fault == "size":
            results["energy"] += 1e-3 * len(atoms) ** 2
        elif self.fault == "forces":
            results["forces"] = 1.01 * results["forces"]
        elif self.fault == "sign of stress":
            results["stress"] = -results["stress"]
        elif self.fault == "net force":
            results["forces"] = results["forces"] + [1e-3, 0, 0]
        elif self.fault == "jump":
            results["energy"] += 1e-3 * np.floor(atoms.positions[:, 0] / 0.05).sum()
        elif self.fault == "memory":
            results["energy"] += 1e-4 * self.calls

    def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
        if self.fault == "touch":
            atoms.positions += 1e-3
        return super().get_property(name, atoms, allow_calculation)


def failed(result: Any) -> set[str]:
    return {finding.check for finding in result.failed}


def test_a_sound_calculator_passes(crystal: Atoms, cluster: Atoms) -> None:
    for atoms in (crystal, cluster):
        result = selftest(Faulty("none"), atoms)
        assert result.passed, result.failed
        tested = {entry.check for entry in result.findings if entry.status == "passed"}
        assert {"translation", "rotation", "forces", "smooth path", DYNAMICS} <= tested
        assert ("stress" in tested) == bool(atoms.pbc.all())


@pytest.mark.parametrize(("dtype", "structure"), [("float32", "silicon"), ("float64", "ethanol")])
def test_a_random_potential_passes(
    dtype: str, structure: str, potential: Potential, request: pytest.FixtureRequest
) -> None:
    atoms = request.getfixturevalue(structure)
    atoms.rattle(0.05, seed=2)
    calculator = PotentialCalculator(potential, device="cpu", dtype=dtype)
    result = selftest(calculator, atoms, checks=STATIC)
    assert result.precision == dtype
    assert result.passed, result.failed


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("place", "translation"),
        ("axis", "rotation"),
        ("order", "permutation"),
        ("cell", "periodic images"),
        ("size", "supercell"),
        ("boundaries", "open boundaries"),
        ("forces", "forces"),
        ("forces", DYNAMICS),
        ("sign of stress", "stress"),
        ("net force", "net force"),
        ("jump", "smooth path"),
        ("memory", "repetition"),
        ("touch", "repetition"),
    ],
)
def test_every_fault_is_caught(fault: str, caught_by: str, crystal: Atoms) -> None:
    result = selftest(Faulty(fault), crystal, checks=[caught_by])
    assert failed(result) == {caught_by}


def test_an_altered_golden_vector_is_caught(
    potential: Potential, silicon: Atoms, tmp_path: Path
) -> None:
    from ase_geomformer.checkpoint.folder import Card, load_folder, save_potential

    save_potential(potential, tmp_path / "p", Card("p"), [silicon])
    path = tmp_path / "p" / "card.json"
    card = json.loads(path.read_text())
    card["golden"][0]["energy"] += 1e-5
    path.write_text(json.dumps(card))
    result = selftest(load_folder(tmp_path / "p"), silicon, checks=["golden vectors"])
    assert failed(result) == {"golden vectors"}


def test_a_stale_neighbour_list_is_caught(
    potential: Potential, silicon: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    kept: list[Any] = []

    def never_again(*arguments: Any) -> Any:
        kept.append(type(calculator.neighbors).measure(calculator.neighbors, *arguments))
        return kept[0]

    monkeypatch.setattr(calculator.neighbors, "measure", never_again)
    silicon.rattle(0.3, seed=3)
    assert failed(selftest(calculator, silicon, checks=["neighbour list"])) == {"neighbour list"}


def test_an_error_in_a_check_is_a_failure_and_the_others_run(crystal: Atoms) -> None:
    class Picky(Faulty):
        def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
            if len(atoms) > 4:
                raise RuntimeError("too many atoms")
            return super().get_property(name, atoms, allow_calculation)

    result = selftest(Picky("none"), crystal, checks=["supercell", "rotation"])
    assert failed(result) == {"supercell"}
    assert result.failed[0].note == "RuntimeError: too many atoms"


def test_bad_requests_are_refused(crystal: Atoms, potential: Potential) -> None:
    with pytest.raises(ValueError, match="unknown check 'taste'; choose from translation"):
        selftest(Faulty("none"), crystal, checks=["taste"])
    with pytest.raises(ValueError, match="no limits for float16"):
        selftest(Faulty("none"), crystal, dtype="float16")
    with pytest.raises(ValueError, match="does not know"):
        selftest(PotentialCalculator(potential, device="cpu"), crystal)
    with pytest.raises(TypeError, match="not int"):
        selftest(3, crystal)


def test_the_command_prints_writes_and_fails(
    potential: Potential, silicon: Atoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ase_geomformer.checkpoint.folder import Card, save_potential

    save_potential(potential, tmp_path / "p", Card("p"), [silicon])
    write(tmp_path / "si.extxyz", silicon)
    command = ["selftest", "--potential", str(tmp_path / "p"), "--device", "cpu"]
    command += ["--structure", str(tmp_path / "si.extxyz"), "--checks", "[rotation, stress]"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    assert "rotation" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "result.json").read_text())["passed"] is True
    card = json.loads((tmp_path / "p" / "card.json").read_text())
    card["golden"][0]["energy"] += 1e-5
    (tmp_path / "p" / "card.json").write_text(json.dumps(card))
    command[-1] = "[golden vectors]"
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False
