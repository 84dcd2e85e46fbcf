"""The settings of the calculator are the same in Python, on the command line and in YAML."""

from __future__ import annotations

import inspect
from dataclasses import asdict, fields

import pytest
import torch
import yaml

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.evaluate import BatchEvaluator, as_evaluator
from ase_geomformer.neighbors import BACKENDS
from ase_geomformer.runs.same import NOT_COMPARED
from ase_geomformer.runtime.settings import MAY_CHANGE, CalculatorSettings

NAMES = [field.name for field in fields(CalculatorSettings)]


@pytest.mark.parametrize(
    "target",
    [PotentialCalculator, CommitteeCalculator, BatchEvaluator, as_evaluator, evaluate_many],
)
def test_signatures_and_documentation_name_every_setting(target: object) -> None:
    parameters = inspect.signature(target).parameters  # type: ignore[arg-type]
    assert [name for name in parameters if name in NAMES] == NAMES
    for name in NAMES:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == getattr(CalculatorSettings(), name)
        assert f"\n{name} : " in (target.__doc__ or "")


def test_devices_and_dtypes_of_torch_are_plain_words() -> None:
    given = CalculatorSettings(device=torch.device("cuda:1"), dtype=torch.float32)  # type: ignore[arg-type]
    assert (given.device, given.dtype) == ("cuda:1", "float32")
    assert CalculatorSettings(dtype=None).dtype == "auto"  # type: ignore[arg-type]
    assert given.updated({"device": None, "dtype": None, "skin": 1.0}).dtype == "float32"


def test_yaml_keeps_them() -> None:
    given = CalculatorSettings(long_range_cutoff=None, radial_tables=False, skin=0.25)
    assert CalculatorSettings(**yaml.safe_load(yaml.safe_dump(asdict(given)))) == given


def test_every_backend_is_named() -> None:
    assert all(name in (CalculatorSettings.__doc__ or "") for name in BACKENDS)


def test_a_resumed_run_may_change_what_results_do_not_depend_on() -> None:
    assert set(NAMES) >= MAY_CHANGE
    assert NOT_COMPARED & set(NAMES) == MAY_CHANGE
