"""Lists of structures on workers: the same results to the bit, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from ase_geomformer.accuracy.evaluation import evaluate_frames
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.cluster import ClusterEvaluator, on_cluster
from ase_geomformer.data.frames import Frame
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.recipes import RelaxManySettings, relax_many
from ase_geomformer.recipes.lattice.forces import evaluate_forces
from ase_geomformer.runs.executor import Failure

POTENTIAL = "so3krates-rmd17-ethanol"
QUIET = {"progress": False}


class Poisonous(EMT):
    """Refuses, or dies of, aluminium."""

    deadly = False

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if atoms is not None and "Al" in atoms.symbols:
            if self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ArithmeticError("poison")
        super().calculate(atoms, properties, system_changes)


def ethanols(number: int) -> list[Atoms]:
    found = []
    for seed in range(number):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        found.append(atoms)
    return found


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_the_properties_are_those_of_one_process(threads, monkeypatch):
    monkeypatch.setattr("ase_geomformer.cluster.ATOMS_PER_BATCH", 30)
    structures = ethanols(7)
    expected = as_evaluator(POTENTIAL, dtype="float64")(structures, ("energy", "forces"))
    with on_cluster(POTENTIAL, threads) as many:
        assert isinstance(many, ClusterEvaluator)
        assert as_evaluator(many) is many
        found = many(structures, ("energy", "forces"))
        assert many([]) == []
    for one, other in zip(found, expected, strict=True):
        assert one["energy"] == pytest.approx(other["energy"], abs=1e-9)
        np.testing.assert_allclose(one["forces"], other["forces"], atol=1e-9)


def test_what_cannot_be_evaluated_is_named_after_all_others_are_done(threads):
    structures = [bulk(symbol) for symbol in ("Cu", "Cu", "Al", "Cu")]
    with on_cluster(Poisonous(), threads) as many:
        found = dict(many.stream(structures))
        assert isinstance(found.pop(2), Failure)
        assert sorted(found) == [0, 1, 3]
        with pytest.raises(ValueError, match=r"1 of 4 .*: 2; structure 2 \(Al\): Arithmetic.*"):
            many(structures)


def test_displacements_take_their_forces_from_workers(threads):
    displaced = []
    for seed in range(6):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.02, seed=seed)
        displaced.append(atoms)
    alone = evaluate_forces(as_evaluator(EMT()), displaced)
    with on_cluster(EMT(), threads) as many:
        found = evaluate_forces(many, displaced, atoms_per_chunk=12)
    np.testing.assert_array_equal(found, alone)


def test_errors_on_labelled_structures_are_those_of_one_process(threads):
    frames = []
    for index, atoms in enumerate(ethanols(5)):
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        frames.append(Frame(atoms.copy(), energy=energy, forces=forces, index=index))
    expected = evaluate_frames(PotentialCalculator(POTENTIAL, dtype="float64"), frames).to_dict()
    with on_cluster(POTENTIAL, threads) as many:
        found = evaluate_frames(many, frames).to_dict()
    for name in ("energy_mae_meV_per_atom", "forces_mae_meV_per_A"):
        assert found[name] == pytest.approx(expected[name])


class TestRelaxMany:
    settings = RelaxManySettings(fmax=0.2, in_flight=2)

    def test_a_killed_worker_changes_nothing(self, client, tmp_path):
        structures = ethanols(10)
        with ThreadPoolExecutor(1) as pool, on_cluster(POTENTIAL, pool, compile=False) as one:
            expected = relax_many(structures, one, self.settings, **QUIET)
        killed = threading.Event()

        def kill() -> None:
            finished = tmp_path / "finished.jsonl"
            while not (finished.is_file() and finished.stat().st_size):
                killed.wait(0.05)
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            killed.set()

        killer = threading.Thread(target=kill)
        killer.start()
        with on_cluster(POTENTIAL, client, compile=False) as many:
            found = relax_many(structures, many, self.settings, output=tmp_path, **QUIET)
        killer.join()
        assert killed.is_set()
        assert [result.damage for result in found.results] == [None] * 10
        for one, other in zip(found.results, expected.results, strict=True):
            assert one.energy == other.energy
            np.testing.assert_array_equal(one.atoms.positions, other.atoms.positions)

    @pytest.mark.parametrize("deadly", [False, True])
    def test_a_poisoned_structure_is_set_aside(self, client, tmp_path, deadly):
        structures = [bulk(symbol) for symbol in ("Cu", "Al", "Cu")]
        calculator = Poisonous()
        calculator.deadly = deadly
        with on_cluster(calculator, client) as many:
            found = relax_many(structures, many, self.settings, output=tmp_path, **QUIET)
            again = relax_many(
                structures, many, self.settings, output=tmp_path, resume=True, **QUIET
            )
        assert [result.converged for result in found.results] == [True, False, True]
        assert found.results[1].damage.startswith("set aside: ")
        assert found.names[1] in {name for name, _, _ in found.rows()}
        assert "1 set aside" in found.reason
        assert again.results[1].damage == found.results[1].damage
        assert (tmp_path / "relaxed.extxyz").is_file()


def test_the_command_line_on_local_workers(tmp_path: Path, run_python):
    pytest.importorskip("distributed")
    from ase.io import write

    write(tmp_path / "many.extxyz", ethanols(4))
    run_python(
        "-c", "from ase_geomformer.cli import main; raise SystemExit(main())", "relax-many",
        "--potential", POTENTIAL, "--structure", str(tmp_path / "many.extxyz"),
        "--output", str(tmp_path / "out"), "--cluster", "local:2", "--progress", "false",
    )  # fmt: skip
    assert len((tmp_path / "out" / "finished.jsonl").read_text().splitlines()) == 4
    assert "cluster" not in (tmp_path / "out" / "settings.yaml").read_text()
