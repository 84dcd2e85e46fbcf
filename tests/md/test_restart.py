"""A resumed run is the run that was never interrupted, to the last bit."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from matplotlib.figure import Figure

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import ENSEMBLES, MDResult, MDSettings, run_md
from ase_geomformer.neighbors import VerletList, neighbor_list

SETTINGS = MDSettings(
    timestep_fs=1.0, steps=40, log_interval=3, trajectory_interval=4, checkpoint_interval=10,
    thermostat_time_fs=20.0, barostat_time_fs=50.0, friction_per_fs=0.05, temperature_K=600.0,
)  # fmt: skip
# The columns of the log that tell of the process rather than of the physics.
OF_THE_PROCESS = {"steps_per_second", "list_rebuilds"}
VARIANTS = [(name, "isotropic") for name in ENSEMBLES] + [
    ("npt-mtk", "full"),
    ("npt-mtk", "axes"),
]


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures cost more than these runs, and are tested elsewhere."""
    monkeypatch.setattr("ase_geomformer.md.figure.plot", lambda *_: Figure(figsize=(1, 1)))


def log_of(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return [
            [text for name, text in row.items() if name not in OF_THE_PROCESS]
            for row in csv.DictReader(file)
        ]


def assert_same_bits(left: Path, right: Path) -> None:
    """Both folders hold the same trajectory and log."""
    assert log_of(left) == log_of(right)
    frames = [read(folder / "trajectory.traj", index=":") for folder in (left, right)]
    assert len(frames[0]) == len(frames[1])
    for one, other in zip(*frames, strict=True):
        assert_same_atoms(one, other)
        assert one.calc.results.keys() == other.calc.results.keys()
        for name, value in one.calc.results.items():
            np.testing.assert_array_equal(value, other.calc.results[name])


def assert_same_atoms(one: Atoms, other: Atoms) -> None:
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, other.arrays[name])
    np.testing.assert_array_equal(one.cell.array, other.cell.array)
    assert one.info == other.info


def whole_and_halves(
    atoms: Atoms, calculator: Callable[[], Any], settings: MDSettings, folder: Path, half: int
) -> tuple[MDResult, MDResult]:
    """All steps at once, and in two runs; each with a calculator of its own."""
    whole = run_md(atoms, calculator(), settings, output=folder / "whole", progress=False)
    first = replace(settings, steps=half)
    run_md(atoms, calculator(), first, output=folder / "halves", progress=False)
    halves = run_md(
        atoms, calculator(), settings, output=folder / "halves", resume=True, progress=False
    )
    assert whole.completed
    assert halves.completed
    assert whole.steps == halves.steps == settings.steps
    assert_same_atoms(whole.atoms, halves.atoms)
    assert_same_bits(folder / "whole", folder / "halves")
    return whole, halves


@pytest.mark.parametrize(("ensemble", "barostat"), VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_potential(
    dtype: torch.dtype, ensemble: str, barostat: str, silicon: Atoms, potential: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    silicon.info.update(charge=1.0, spin=2.0)
    settings = replace(SETTINGS, ensemble=ensemble, barostat=barostat)
    # Not a multiple of any interval; a small skin, so that the list is searched many times.
    whole, halves = whole_and_halves(
        silicon,
        lambda: PotentialCalculator(potential, dtype=dtype, skin=0.02),
        settings,
        tmp_path,
        half=17,
    )
    assert whole.log["list_rebuilds"].sum() > 0
    assert np.abs(whole.atoms.positions - silicon.positions).max() > 0.05
    assert halves.averages == whole.averages
    assert halves.drift_meV_per_atom_per_ps == whole.drift_meV_per_atom_per_ps


@pytest.mark.parametrize(("ensemble", "barostat"), VARIANTS)
def test_a_calculator_that_remembers(ensemble: str, barostat: str, tmp_path: Path) -> None:
    # EMT sums in the order of a neighbour list that depends on where the atoms were before.
    settings = replace(
        SETTINGS, ensemble=ensemble, barostat=barostat, temperature_K=2500.0, timestep_fs=4.0
    )
    whole_and_halves(bulk("Cu", cubic=True) * (2, 1, 1), EMT, settings, tmp_path, half=20)


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if name != "nve"])
def test_a_ramp_goes_on(ensemble: str, tmp_path: Path) -> None:
    copper = bulk("Cu", cubic=True)
    settings = replace(SETTINGS, ensemble=ensemble, temperature_K=300.0, temperature_end_K=1500.0)
    run_md(copper, EMT(), settings, output=tmp_path / "whole", progress=False)

    class Killed(EMT):
        """Ends the process, as far as the run is concerned, in step 27."""

        calls = 0

        def calculate(self, *arguments: Any) -> None:
            super().calculate(*arguments)
            self.calls += 1
            if self.calls == 30:
                raise SystemExit

    with pytest.raises(SystemExit):
        run_md(copper, Killed(), settings, output=tmp_path / "killed", progress=False)
    result = run_md(None, EMT(), output=tmp_path / "killed", resume=True, progress=False)
    assert result.completed
    assert_same_bits(tmp_path / "whole", tmp_path / "killed")
    longer = replace(settings, steps=60)
    with pytest.raises(ValueError, match="cannot resume: steps was 40 .* is 60 now"):
        run_md(None, EMT(), longer, output=tmp_path / "killed", resume=True, progress=False)


def test_the_list_has_no_state_that_counts(silicon: Atoms, rng: np.random.Generator) -> None:
    cell, pbc = torch.tensor(silicon.cell.array), torch.tensor(silicon.pbc)
    kept = VerletList(5.0, skin=1.0)
    for _ in range(5):
        silicon.positions += rng.normal(scale=0.03, size=silicon.positions.shape)
        positions = torch.tensor(silicon.positions)
        reused, fresh = kept.update(positions, cell, pbc), neighbor_list(positions, cell, pbc, 5.0)
        assert torch.equal(reused.edge_index, fresh.edge_index)
        assert torch.equal(reused.shifts, fresh.shifts)
    assert kept.builds < kept.updates


@pytest.mark.filterwarnings("ignore:Skipping")
def test_a_structure_keeps_all_it_has(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    cluster.set_constraint(FixAtoms([2]))
    cluster.set_masses([12.0, 2.0, 16.0, 19.0])
    cluster.set_tags([1, 2, 3, 4])
    cluster.info.update(charge=-1, spin=2, name="cluster", table=np.arange(3), odd={1, 2})
    settings = replace(SETTINGS, steps=10)
    before = run_md(cluster, springs, settings, output=tmp_path, progress=False)
    after = run_md(None, springs, output=tmp_path, resume=True, progress=False)
    assert (after.completed, after.steps) == (True, 10)
    assert before.atoms.info.pop("odd") == {1, 2}
    np.testing.assert_array_equal(before.atoms.info.pop("table"), after.atoms.info.pop("table"))
    assert_same_atoms(before.atoms, after.atoms)
    assert after.atoms.constraints[0].todict() == cluster.constraints[0].todict()
    assert not after.atoms.get_momenta()[2].any()
    assert after.initial_velocities == "drawn"


def test_a_run_that_never_began_begins(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("of a process killed before its first step")
    (tmp_path / ".restart-half.partial.npz").write_text("what it left")
    result = run_md(cluster, springs, SETTINGS, output=tmp_path, resume=True, progress=False)
    assert result.completed
    assert not list(tmp_path.glob(".*"))


def test_a_run_killed_in_its_first_step(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    calculate = springs.calculate

    def kill(*arguments: Any) -> None:
        if (tmp_path / "killed" / "restart.npz").exists():
            raise SystemExit
        calculate(*arguments)

    springs.calculate = kill
    with pytest.raises(SystemExit):
        run_md(cluster, springs, SETTINGS, output=tmp_path / "killed", progress=False)
    springs.calculate = calculate
    run_md(None, springs, output=tmp_path / "killed", resume=True, progress=False)
    run_md(cluster, springs, SETTINGS, output=tmp_path / "whole", progress=False)
    assert_same_bits(tmp_path / "whole", tmp_path / "killed")


def test_what_cannot_be_resumed(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    def resume(settings: MDSettings | None = None, atoms: Any = cluster, **options: Any) -> None:
        options = {"output": tmp_path / "run", "resume": True, "progress": False, **options}
        run_md(atoms, springs, settings, **options)

    run_md(cluster, springs, SETTINGS, output=tmp_path / "run", progress=False)
    kept = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    for changes in ({"timestep_fs": 0.5}, {"seed": 3}, {"ensemble": "nve"}):
        with pytest.raises(ValueError, match=f"cannot resume: {next(iter(changes))} was"):
            resume(replace(SETTINGS, **changes))
    with pytest.raises(ValueError, match="has already made 40"):
        resume(replace(SETTINGS, steps=30))
    with pytest.raises(ValueError, match="is of CFNO, and the structure given is H2"):
        resume(atoms=Atoms("H2"))
    with pytest.raises(ValueError, match="give one of them"):
        resume(overwrite=True)
    with pytest.raises(ValueError, match="needs the output folder"):
        resume(output=None)
    with pytest.raises(ValueError, match="there is no run to resume"):
        resume(atoms=None, output=tmp_path / "none")
    springs.stiffness *= 3
    with pytest.raises(ValueError, match="with the potential it was started with"):
        resume()
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == kept


@pytest.mark.parametrize("name", ["log.csv", "trajectory.traj"])
def test_files_that_are_gone(name: str, cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    run_md(cluster, springs, SETTINGS, output=tmp_path, progress=False)
    content = (tmp_path / name).read_bytes()
    for damage in (lambda path: path.write_bytes(content[:-5]), Path.unlink):
        damage(tmp_path / name)
        with pytest.raises(FileNotFoundError, match=f"{name} is missing, or shorter"):
            run_md(cluster, springs, SETTINGS, output=tmp_path, resume=True, progress=False)
        assert (tmp_path / "result.json").exists()


def test_a_folder_of_something_else_is_left_alone(
    cluster: Atoms, springs: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileNotFoundError, match=r"no restart\.npz"):
        run_md(cluster, springs, SETTINGS, output=tmp_path, resume=True, progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_that_is_no_restart(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    (tmp_path / "restart.npz").write_text("no")
    with pytest.raises(ValueError, match="not a restart file"):
        run_md(cluster, springs, SETTINGS, output=tmp_path, resume=True, progress=False)


def test_restart_files_hold_no_pickle(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    run_md(cluster, springs, SETTINGS, output=tmp_path, progress=False)
    with np.load(tmp_path / "restart.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
