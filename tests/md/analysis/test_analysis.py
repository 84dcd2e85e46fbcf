"""Analysis of trajectories whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from matplotlib.figure import Figure

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import (
    Frames,
    block_average,
    load_frames,
    mean_square_displacement,
    radial_distribution,
    velocity_autocorrelation,
)


def frames_of(positions: np.ndarray, interval_fs: float = 1.0, **changes: object) -> Frames:
    """Frames of argon that moves in the open."""
    number = positions.shape[1]
    velocities = np.gradient(positions, interval_fs, axis=0) if len(positions) > 1 else positions
    given = {
        "numbers": np.full(number, 18), "masses": np.full(number, 40.0), "positions": positions,
        "velocities": velocities, "cells": np.zeros((len(positions), 3, 3)),
        "pbc": np.zeros(3, bool), "interval_fs": interval_fs,
    }  # fmt: skip
    return Frames(**{**given, **changes})


def test_an_ideal_gas_has_no_structure(rng: np.random.Generator) -> None:
    cell = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [0, 1.0, 10.0]])
    positions = rng.uniform(size=(60, 100, 3)) @ cell
    numbers = np.repeat([18, 10], [40, 60])
    frames = frames_of(
        positions, numbers=numbers, cells=np.tile(cell, (60, 1, 1)), pbc=np.ones(3, bool)
    )
    # Beyond half the cell, too; an atom is not its own neighbour, its images are.
    for first, second, excess in (("Ar", "Ne", 1.0), ("Ar", "Ar", 39 / 40), (None, None, 0.99)):
        rdf = radial_distribution(frames, first, second, max_distance=7.0, bins=7)
        np.testing.assert_allclose(rdf.g[2:], excess, rtol=0.05)
        assert rdf.coordination[-1] == pytest.approx(
            rdf.g[-1] * frames.select(second).sum() / 720.0 * 4 / 3 * np.pi * 343.0, rel=0.05
        )


def test_shells_of_a_crystal() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    frames = load_frames([salt], interval_fs=1.0)
    unlike = radial_distribution(frames, "Na", "Cl", max_distance=6.0, bins=60)
    assert unlike.coordination[np.searchsorted(unlike.distance, 3.2)] == pytest.approx(6.0)
    assert unlike.coordination[np.searchsorted(unlike.distance, 5.2)] == pytest.approx(14.0)
    like = radial_distribution(frames, "Na", "Na", max_distance=6.0, bins=60)
    assert like.coordination[np.searchsorted(like.distance, 4.5)] == pytest.approx(12.0)
    assert isinstance(like.plot(), Figure)


def test_a_molecule_has_distances_and_no_mean_density(ethanol: Atoms) -> None:
    rdf = radial_distribution(load_frames([ethanol] * 2, interval_fs=1.0), "C", "H", bins=100)
    assert rdf.g is None
    shells = 4.0 / 3.0 * np.pi * np.diff(np.linspace(0.0, 6.0, 101) ** 3)
    carbon, hydrogen = ethanol.symbols == "C", ethanol.symbols == "H"
    distances = ethanol.get_all_distances()[carbon][:, hydrogen]
    expected = np.histogram(distances, np.linspace(0.0, 6.0, 101))[0] / 2 / shells
    np.testing.assert_allclose(rdf.density, expected)
    with pytest.raises(ValueError, match="no atom of element 'Xe'"):
        radial_distribution(load_frames([ethanol], interval_fs=1.0), "Xe")


def test_random_walkers_diffuse(rng: np.random.Generator) -> None:
    walk = rng.normal(scale=0.1, size=(1000, 100, 3)).cumsum(axis=0)
    found = mean_square_displacement(frames_of(walk, 10.0), remove_drift=False)
    # Each coordinate spreads by 2 D t: D = 0.1^2 / (2 * 0.01 ps).
    assert found.diffusion_A2_per_ps == pytest.approx(0.5, abs=4 * found.error_A2_per_ps)
    assert 0.002 < found.error_A2_per_ps < 0.05
    assert isinstance(found.plot(), Figure)


@pytest.mark.parametrize("origin", [0.0, -0.5])
def test_wrapped_walkers_diffuse_as_fast(origin: float, rng: np.random.Generator) -> None:
    cell = np.array([[6.0, 0.0, 0.0], [2.0, 5.0, 0.0], [0.0, 1.0, 7.0]])
    walk = rng.uniform(size=(1, 50, 3)) @ cell + rng.normal(scale=0.1, size=(600, 50, 3)).cumsum(0)
    wrapped = ((walk @ np.linalg.inv(cell) - origin) % 1.0 + origin) @ cell
    periodic = {"cells": np.tile(cell, (600, 1, 1)), "pbc": np.ones(3, bool)}
    expected = mean_square_displacement(frames_of(walk, 10.0, **periodic))
    with pytest.warns(UserWarning, match="wrapped into the cell, and are unwrapped here"):
        found = mean_square_displacement(frames_of(wrapped, 10.0, **periodic))
    np.testing.assert_allclose(found.msd, expected.msd, atol=1e-9)
    assert found.diffusion_A2_per_ps == pytest.approx(expected.diffusion_A2_per_ps)
    kept = mean_square_displacement(frames_of(wrapped, 10.0, **periodic), unwrap=False)
    assert kept.diffusion_A2_per_ps != pytest.approx(expected.diffusion_A2_per_ps, rel=0.5)


def test_fast_atoms_are_not_taken_for_wrapped_ones(rng: np.random.Generator) -> None:
    walk = rng.normal(scale=5.0, size=(200, 20, 3)).cumsum(axis=0)
    frames = frames_of(walk, cells=np.tile(6.0 * np.eye(3), (200, 1, 1)), pbc=np.ones(3, bool))
    np.testing.assert_array_equal(frames.unwrapped().positions, walk)


def test_diffusion_in_a_plane_and_along_a_line(rng: np.random.Generator) -> None:
    # In the plane of a slab whose cell is turned; across it the walkers only shake.
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    walk = rng.normal(scale=0.1, size=(1000, 100, 3)).cumsum(axis=0)
    walk[:, :, 2] = rng.normal(size=(1000, 100))
    cell = np.diag([60.0, 60.0, 0.0]) @ turn
    slab = {"cells": np.tile(cell, (1000, 1, 1)), "pbc": np.array([True, True, False])}
    found = mean_square_displacement(frames_of(walk @ turn, 10.0, **slab), remove_drift=False)
    assert found.dimension == 2
    assert found.diffusion_A2_per_ps == pytest.approx(0.5, abs=4 * found.error_A2_per_ps)
    line = mean_square_displacement(frames_of(walk, 10.0), remove_drift=False, directions="x")
    assert line.dimension == 1
    assert line.diffusion_A2_per_ps == pytest.approx(0.5, abs=4 * line.error_A2_per_ps)
    for bad in ("", "xx", "w"):
        with pytest.raises(ValueError, match="must be some of x, y and z"):
            mean_square_displacement(frames_of(walk), directions=bad)


def test_mean_square_displacement_by_hand(rng: np.random.Generator) -> None:
    positions = 1e3 + rng.normal(size=(40, 3, 3)).cumsum(axis=0)
    found = mean_square_displacement(frames_of(positions), parts=2, remove_drift=False)
    expected = [
        np.mean([
            np.mean(np.sum((half[lag:] - half[: len(half) - lag]) ** 2, axis=2))
            for half in (positions[:20], positions[20:])
        ])
        for lag in range(10)
    ]  # fmt: skip
    np.testing.assert_allclose(found.msd, expected, rtol=1e-8, atol=1e-9)
    drifting = positions + 0.5 * np.arange(40)[:, None, None]
    still, moved = (
        mean_square_displacement(frames_of(paths), parts=2) for paths in (positions, drifting)
    )
    np.testing.assert_allclose(still.msd, moved.msd, rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="cannot be taken in 5 parts"):
        mean_square_displacement(frames_of(positions))


def test_vibrations_are_where_they_are() -> None:
    time_fs = 2.0 * np.arange(2000)
    paths = np.zeros((2000, 2, 3))
    paths[:, 0, 0] = np.sin(2 * np.pi * 0.010 * time_fs) / 0.010  # 10 and 25 THz, at the same
    paths[:, 1, 1] = np.sin(2 * np.pi * 0.025 * time_fs) / 0.025  # kinetic energy
    frames = frames_of(paths, 2.0)
    found = velocity_autocorrelation(frames)
    assert found.vacf[0] == 1.0
    width = found.frequency_THz[1]
    assert found.density_of_states.sum() * width == pytest.approx(1.0)
    for peak in (10.0, 25.0):
        near = np.abs(found.frequency_THz - peak) < 3.0
        top = found.frequency_THz[near][found.density_of_states[near].argmax()]
        assert top == pytest.approx(peak, abs=2 * width)
        assert found.density_of_states[near].sum() * width == pytest.approx(0.5, abs=0.02)
    assert found.wavenumber[1] == pytest.approx(width * 33.3564, rel=1e-5)
    assert isinstance(found.plot(), Figure)


def test_autocorrelation_by_hand(rng: np.random.Generator) -> None:
    velocities = rng.normal(size=(30, 2, 3)).cumsum(axis=0)
    masses = np.array([1.0, 16.0])
    frames = frames_of(velocities, velocities=velocities, masses=masses)
    found = velocity_autocorrelation(frames, max_time_fs=8.0).vacf
    expected = np.array([
        np.mean(
            np.einsum("tnc,tnc,n->t", velocities[lag:], velocities[: 30 - lag], masses)
        )
        for lag in range(8)
    ])  # fmt: skip
    np.testing.assert_allclose(found, expected / expected[0], rtol=1e-9)
    with pytest.raises(ValueError, match="too few"):
        velocity_autocorrelation(frames, max_time_fs=100.0)
    with pytest.raises(ValueError, match="do not move"):
        velocity_autocorrelation(frames_of(velocities, velocities=0.0 * velocities))


def test_errors_of_correlated_values(rng: np.random.Generator) -> None:
    # An autoregressive process of coefficient a has the inefficiency (1 + a) / (1 - a).
    values = np.zeros(2**16)
    noise = rng.normal(size=len(values))
    for step in range(1, len(values)):
        values[step] = 0.9 * values[step - 1] + noise[step]
    found = block_average(5.0 + values)
    assert found.correlation == pytest.approx(19.0, rel=0.6)
    assert found.mean == pytest.approx(5.0, abs=4 * found.error)
    assert block_average(noise).correlation == pytest.approx(1.0, abs=0.8)
    assert block_average(np.ones(9)).error == 0.0
    for bad in (np.ones(1), np.array([1.0, np.nan]), np.ones((3, 3))):
        with pytest.raises(ValueError, match="two or more finite values"):
            block_average(bad)


@pytest.mark.parametrize("suffix", ["traj", "h5md", "extxyz"])
def test_frames_of_a_run(suffix: str, tmp_path: Path) -> None:
    settings = MDSettings(
        steps=12, timestep_fs=2.0, trajectory_interval=3, trajectory_format=suffix
    )
    result = run_md(bulk("Cu") * 2, EMT(), settings, output=tmp_path, progress=False)
    frames = load_frames(tmp_path)
    assert len(frames) == 5
    assert frames.interval_fs == pytest.approx(6.0)
    assert frames[1::2].interval_fs == pytest.approx(12.0)
    np.testing.assert_allclose(frames.positions[-1], result.atoms.positions, atol=1e-5)
    np.testing.assert_allclose(
        frames.velocities[-1], result.atoms.get_velocities() * 0.09822694788464063, atol=1e-6
    )
    np.testing.assert_allclose(frames.cells[0], result.atoms.cell.array)
    assert frames.pbc.all()
    file = tmp_path / f"trajectory.{suffix}"
    assert load_frames(file).interval_fs == pytest.approx(6.0)
    assert load_frames(file, 5.0).interval_fs == 5.0
    if suffix == "traj":
        atoms = read(file, index=":")
        np.testing.assert_array_equal(load_frames(atoms, 6.0).positions, frames.positions)


@pytest.mark.parametrize("suffix", ["traj", "h5md", "extxyz"])
def test_a_run_resumed_with_another_interval_has_one_time_axis(suffix: str, tmp_path: Path) -> None:
    copper = bulk("Cu") * 2
    settings = MDSettings(
        steps=12, timestep_fs=2.0, trajectory_interval=3, trajectory_format=suffix
    )
    run_md(copper, EMT(), settings, output=tmp_path, progress=False)
    longer = replace(settings, steps=36, trajectory_interval=4)
    run_md(copper, EMT(), longer, output=tmp_path, resume=True, progress=False)
    # Steps 0, 3, 6, 9, 12, 16, 20 ... 36 have the multiples of 12 in common.
    with pytest.warns(UserWarning, match="6 to 8 fs apart; 4 of 11 are taken, 24 fs apart"):
        frames = load_frames(tmp_path)
    assert (len(frames), frames.interval_fs) == (4, pytest.approx(24.0))
    whole = replace(longer, trajectory_interval=12)
    run_md(copper, EMT(), whole, output=tmp_path / "whole", progress=False)
    expected = load_frames(tmp_path / "whole")
    np.testing.assert_allclose(frames.positions, expected.positions, atol=1e-6)
    np.testing.assert_allclose(frames.velocities, expected.velocities, atol=1e-6)


def test_times_that_cannot_be_an_axis(tmp_path: Path) -> None:
    def at(*times_fs: float) -> list[Atoms]:
        return [Atoms("Ar", info={"time_fs": time}) for time in times_fs]

    assert load_frames(at(0.0, 2.0, 4.0)).interval_fs == 2.0
    with pytest.raises(ValueError, match="frame 2 is at 1 fs, after 2 fs"):
        load_frames(at(0.0, 2.0, 1.0))
    with pytest.raises(ValueError, match="2 to 5 fs apart and have no equal spacing"):
        load_frames(at(0.0, 2.0, 7.0))
    with pytest.raises(ValueError, match="give interval_fs"):
        load_frames([Atoms("Ar"), *at(2.0)])
    # A run of an earlier version, whose frames carry nothing but the last settings are known.
    write(tmp_path / "trajectory.traj", [Atoms("Ar")] * 5)
    (tmp_path / "settings.yaml").write_text("{timestep_fs: 2.0, trajectory_interval: 3}")
    (tmp_path / "result.json").write_text('{"steps": 12}')
    assert load_frames(tmp_path).interval_fs == 6.0
    (tmp_path / "result.json").write_text('{"steps": 18}')
    with pytest.raises(ValueError, match="resumed with another trajectory_interval"):
        load_frames(tmp_path)


def test_trajectories_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no trajectory in the folder"):
        load_frames(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no trajectory"):
        load_frames(tmp_path / "lost.traj", 1.0)
    with pytest.raises(ValueError, match="not all of the same atoms"):
        load_frames([Atoms("H"), Atoms("He")], 1.0)
