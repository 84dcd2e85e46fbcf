from __future__ import annotations

import dataclasses
import math
from typing import Any, get_args

import pytest
from docstring_parser import parse

from ase_geomformer.md import ENSEMBLES, GuardSettings, HarvestSettings, MDSettings
from ase_geomformer.md.settings import EnsembleName, TrajectoryFormat
from ase_geomformer.md.trajectories import TRAJECTORIES

pytestmark = pytest.mark.quick


def test_every_ensemble_can_be_named() -> None:
    assert get_args(EnsembleName) == tuple(ENSEMBLES)


def test_every_trajectory_format_can_be_named() -> None:
    assert set(get_args(TrajectoryFormat)) == set(TRAJECTORIES)


@pytest.mark.parametrize("settings", [MDSettings, GuardSettings, HarvestSettings])
def test_every_setting_is_described(settings: type[Any]) -> None:
    described = {entry.arg_name for entry in parse(settings.__doc__ or "").params}
    assert described == {field.name for field in dataclasses.fields(settings)}


def test_settings_come_back_from_a_file() -> None:
    settings = MDSettings(guards=GuardSettings(max_gap_A=None, pair_interval=3))
    assert MDSettings(**dataclasses.asdict(settings)) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ensemble", "nvt"),
        ("barostat", "round"),
        ("temperature_K", -1.0),
        ("temperature_K", 0.0),
        ("temperature_K", math.nan),
        ("pressure_GPa", math.inf),
        ("timestep_fs", 0.0),
        ("timestep_fs", "0.5"),
        ("timestep_fs", None),
        ("steps", 0),
        ("steps", 10.5),
        ("seed", -1),
        ("friction_per_fs", -0.01),
        ("thermostat_time_fs", 0.0),
        ("barostat_time_fs", 0.0),
        ("compressibility_per_GPa", 0.0),
        ("fixed_axes", "abc"),
        ("fixed_axes", "c"),
        ("equilibration_steps", 1001),
        ("log_interval", 0),
        ("trajectory_interval", 0),
        ("trajectory_format", "xyz"),
        ("checkpoint_interval", 0),
    ],
)
def test_a_bad_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} = {value!r} must be"):
        MDSettings(**{name: value})


def test_constant_energy_may_start_at_rest() -> None:
    assert MDSettings(ensemble="nve", temperature_K=0.0).temperature_K == 0.0
