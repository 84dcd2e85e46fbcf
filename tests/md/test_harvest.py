"""Dynamics of a committee keeps, or stops at, what its members do not agree about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from ase_geomformer import Potential
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.md import GuardSettings, HarvestSettings, MDSettings, run_md

SETTINGS = MDSettings(
    timestep_fs=2.0, steps=40, log_interval=5, trajectory_interval=1, checkpoint_interval=15,
    harvest=HarvestSettings(min_forces_spread_eV_per_A=0.0, min_steps=7), temperature_K=600.0,
)  # fmt: skip


@pytest.fixture
def committee(cluster: Atoms, springs: Any) -> CommitteeCalculator:
    """Springs of different strength, which disagree the more the longer they are."""
    return CommitteeCalculator([springs, type(springs)(cluster, stiffness=5.5)])


def harvested(folder: Path) -> list[Atoms]:
    return read(folder / "harvest.extxyz", index=":")


def test_frames_are_kept_where_the_spread_is_large(
    cluster: Atoms, committee: CommitteeCalculator, tmp_path: Path
) -> None:
    cluster.info["charge"] = 1
    every = replace(SETTINGS, harvest=HarvestSettings(min_forces_spread_eV_per_A=0.0, min_steps=1))
    run_md(cluster, committee, every, output=tmp_path / "all", progress=False)
    spreads = {
        int(frame.info["step"]): float(frame.info["max_forces_spread_eV_per_A"])
        for frame in harvested(tmp_path / "all")
    }
    assert len(spreads) == 40  # all but the first, in which the springs are at rest
    threshold = float(np.median([*spreads.values()]))
    chosen = HarvestSettings(min_forces_spread_eV_per_A=threshold, min_steps=3)
    run_md(
        cluster, committee, replace(SETTINGS, harvest=chosen), output=tmp_path / "some",
        progress=False,
    )  # fmt: skip
    expected, last = [], -10
    for step, spread in spreads.items():
        if spread > threshold and step - last >= 3:
            expected.append(step)
            last = step
    frames = harvested(tmp_path / "some")
    assert [frame.info["step"] for frame in frames] == expected
    trajectory = read(tmp_path / "some" / "trajectory.traj", index=":")
    for frame in frames:
        there = trajectory[frame.info["step"]]
        np.testing.assert_allclose(frame.positions, there.positions, atol=1e-7)
        assert frame.calc is None
        assert frame.info["charge"] == 1
        spread = committee.get_property("forces_spread", there)
        np.testing.assert_allclose(frame.arrays["forces_spread_eV_per_A"], spread, atol=1e-7)
        assert frame.info["energy_spread_eV"] == pytest.approx(
            committee.get_property("energy_spread", there), rel=1e-4
        )


def test_a_resumed_harvest_has_no_frame_twice(
    cluster: Atoms, committee: CommitteeCalculator, tmp_path: Path
) -> None:
    run_md(cluster, committee, SETTINGS, output=tmp_path / "whole", progress=False)
    first = replace(SETTINGS, steps=17)
    run_md(cluster, committee, first, output=tmp_path / "halves", progress=False)
    with (tmp_path / "halves" / "harvest.extxyz").open("a") as file:
        file.write("what a killed process wrote after its last checkpoint")
    run_md(None, committee, SETTINGS, output=tmp_path / "halves", resume=True, progress=False)
    texts = [(tmp_path / name / "harvest.extxyz").read_text() for name in ("whole", "halves")]
    assert texts[0] == texts[1]
    assert [frame.info["step"] for frame in harvested(tmp_path / "whole")] == [1, 8, 15, 22, 29, 36]


def test_no_more_frames_than_wanted(
    cluster: Atoms, committee: CommitteeCalculator, tmp_path: Path
) -> None:
    limited = replace(SETTINGS, harvest=replace(SETTINGS.harvest, max_frames=2))
    run_md(cluster, committee, limited, output=tmp_path, progress=False)
    assert len(harvested(tmp_path)) == 2


def test_a_run_stops_where_the_committee_is_lost(
    cluster: Atoms, committee: CommitteeCalculator, tmp_path: Path
) -> None:
    guards = GuardSettings(max_forces_spread_eV_per_A=0.05)
    result = run_md(
        cluster, committee, replace(SETTINGS, guards=guards), output=tmp_path, progress=False
    )
    assert not result.completed
    assert result.steps > 1
    assert "the committee's forces on" in result.reason
    assert "guards.max_forces_spread_eV_per_A = 0.05" in result.reason
    assert (tmp_path / "offending.extxyz").exists()


@pytest.mark.parametrize(
    "limits",
    [
        {"harvest": HarvestSettings(min_forces_spread_eV_per_A=1.0)},
        {"guards": GuardSettings(max_forces_spread_eV_per_A=1.0)},
    ],
)
def test_a_single_potential_has_no_spread(limits: Any, cluster: Atoms, springs: Any) -> None:
    settings = MDSettings(steps=5, **limits)
    with pytest.raises(ValueError, match="forces_spread_eV_per_A = 1.0 needs a committee"):
        run_md(cluster, springs, settings, progress=False)


@pytest.mark.parametrize(
    "values",
    [{"min_forces_spread_eV_per_A": -1.0}, {"min_steps": 0}, {"max_frames": 1.5}],
)
def test_limits_out_of_range(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"harvest\.{next(iter(values))} = .* must be"):
        HarvestSettings(**values)


def test_command_line(
    make_potential: Callable[..., Potential], silicon: Atoms, tmp_path: Path
) -> None:
    for seed in (1, 2):
        name = f"member-{seed}"
        potential = make_potential(seed=seed)
        save_potential(potential, tmp_path / "members" / name, Card(name), [silicon])
    silicon.write(tmp_path / "silicon.extxyz")
    command = [
        "md", "--structure", str(tmp_path / "silicon.extxyz"), "--steps", "6", "--progress",
        "false", "--harvest.min_forces_spread_eV_per_A", "0", "--harvest.min_steps", "3",
    ]  # fmt: skip
    members = tmp_path / "members"
    pair = f"[{members / 'member-1'}, {members / 'member-2'}]"
    for number, given in enumerate((str(members), pair)):
        output = tmp_path / f"run-{number}"
        assert main([*command, "--potential", given, "--output", str(output)]) == 0
        assert len(harvested(output)) == 3
    again = ["md", "--config", str(output / "settings.yaml"), "--output", str(tmp_path / "again")]
    assert main([*again, "--progress", "false"]) == 0
    assert len(harvested(tmp_path / "again")) == 3
    alone = str(members / "member-1")
    assert main([*command, "--potential", alone, "--output", str(tmp_path / "alone")]) == 2
