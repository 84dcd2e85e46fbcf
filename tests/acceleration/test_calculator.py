"""A calculator whose potential is compiled in the process, as on a GPU, gives the same results."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import CompiledAhead, CompiledPotential
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.potential import Potential

CARRIERS = {"deepcopy": copy.deepcopy, "pickle": lambda it: pickle.loads(pickle.dumps(it))}


def padding(potential: Potential, **settings: object) -> PotentialCalculator:
    """A calculator that would compile in the process, without the time the compiler takes."""
    calculator = PotentialCalculator(potential, device="cpu", **settings)
    prepared = calculator.prepared
    prepared.function = CompiledPotential(prepared.potential, backend="eager")
    return calculator


def test_results_are_those_without_compilation(
    potential: Potential, silicon: Atoms, ethanol: Atoms
) -> None:
    plain = PotentialCalculator(potential, device="cpu")
    compiled = padding(potential)
    for atoms, names in ((silicon, plain.implemented_properties), (ethanol, ["energy", "forces"])):
        for name in names:
            np.testing.assert_allclose(
                compiled.get_property(name, atoms), plain.get_property(name, atoms), atol=1e-12
            )


def test_energy_first_and_forces_later_compile_once(potential: Potential, ethanol: Atoms) -> None:
    ethanol.calc = calculator = padding(potential)
    ethanol.get_potential_energy()
    ethanol.get_forces()
    ethanol.positions[0] += 0.01
    ethanol.get_potential_energies()
    assert calculator.prepared.function.compilations == 1


def test_dynamics_compiles_once(potential: Potential) -> None:
    """While the number of edges changes all the time."""
    atoms = bulk("Si", a=5.43, cubic=True) * (2, 2, 2)
    spread = np.sqrt(3000 * units.kB * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * np.random.default_rng(0).normal(size=(64, 3)))
    plain, atoms.calc = atoms.copy(), padding(potential)
    plain.calc = PotentialCalculator(potential, device="cpu")
    edges = []
    for structure in (atoms, plain):
        dynamics = VelocityVerlet(structure, 2 * units.fs)
        dynamics.attach(lambda s=structure: edges.append(s.calc.graphs.of(s, 0.0).num_edges))
        dynamics.run(50)
    assert len(set(edges)) > 10
    assert atoms.calc.prepared.function.compilations <= 2
    np.testing.assert_allclose(atoms.positions, plain.positions, atol=1e-10)


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
def test_copies_evaluate_their_own_potential(
    carry: Callable, potential: Potential, ethanol: Atoms
) -> None:
    ethanol.calc = padding(potential)
    forces = ethanol.get_forces()
    other = carry(ethanol.calc)
    assert other.prepared.function.potential is other.potential is not ethanol.calc.potential
    other.reset()
    np.testing.assert_allclose(other.get_property("forces", ethanol), forces, atol=1e-14)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ("auto", False)),
        (["--compile"], (True, False)),
        (["--compile", "false"], (False, False)),
        (["--radial_tables", "true"], ("auto", True)),
        (["--dtype", "float32"], ("auto", True)),
        (["--dtype", "float32", "--radial_tables", "false"], ("auto", False)),
    ],
)
def test_the_command_line_passes_it_on(
    flags: list[str],
    expected: tuple[bool | str, bool],
    potential: Potential,
    ethanol: Atoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_md(atoms: Atoms, calculator: PotentialCalculator, *_: object, **__: object) -> object:
        seen.append((calculator.parameters["compile"], calculator.parameters["radial_tables"]))
        return SimpleNamespace(problem=None, entries=list)

    seen: list[tuple[bool | str, bool]] = []
    monkeypatch.setattr("ase_geomformer.md.run_md", run_md)
    save_potential(potential, tmp_path / "random", Card("random"))
    ase.io.write(tmp_path / "ethanol.xyz", ethanol)
    files = ["--potential", tmp_path / "random", "--structure", tmp_path / "ethanol.xyz"]
    assert main(["md", *map(str, files), "--output", str(tmp_path / "out"), *flags]) == 0
    assert seen == [expected]


@pytest.mark.parametrize("verb", ["relax", "relax_many"])
@pytest.mark.parametrize("flags", [[], ["--compile"]])
def test_recipes_are_given_a_compiled_evaluator(
    flags: list[str],
    verb: str,
    potential: Potential,
    ethanol: Atoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def recipe(_: object, evaluate: BatchEvaluator, *__: object, **___: object) -> object:
        seen.append(isinstance(evaluate.calculator.prepared.function, CompiledAhead))
        return SimpleNamespace(problem=None, entries=list)

    seen: list[bool] = []
    monkeypatch.setattr(f"ase_geomformer.recipes.{verb}", recipe)
    save_potential(potential, tmp_path / "random", Card("random"))
    ase.io.write(tmp_path / "ethanol.xyz", ethanol)
    files = ["--potential", tmp_path / "random", "--structure", tmp_path / "ethanol.xyz"]
    command = [verb.replace("_", "-"), *map(str, files), "--output", str(tmp_path / "out")]
    assert main([*command, *flags]) == 0
    assert seen == [bool(flags)]
