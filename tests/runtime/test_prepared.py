"""What evaluation needs is prepared once, and lent to all that evaluate."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.evaluate import BatchEvaluator, as_evaluator
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.runtime import prepared as module
from ase_geomformer.runtime.prepared import PreparedPotential, prepare
from ase_geomformer.runtime.settings import CalculatorSettings

OPEN, CRYSTAL = (False, False, False), (True, True, True)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Filled with what is done: copies and tables made, graphs evaluated."""
    done: list[str] = []

    def noted(what: str, function: Callable) -> Callable:
        def call(*arguments: object, **keywords: object) -> object:
            done.append(what)
            return function(*arguments, **keywords)

        return call

    monkeypatch.setattr(Potential, "copy", noted("copy", Potential.copy))
    monkeypatch.setattr(Potential, "forward", noted("evaluation", Potential.forward))
    monkeypatch.setattr(module, "tabulate_once", noted("tables", module.tabulate_once))
    return done


@contextmanager
def nothing_but(expected: list[str], work: list[str]) -> Iterator[None]:
    """All that is done inside is what is expected."""
    work.clear()
    yield
    assert work == expected


def test_a_calculator_lends_what_it_prepared(
    potential: Potential, ethanol: Atoms, work: list[str]
) -> None:
    calculator = PotentialCalculator(potential, device="cpu", dtype="float32", radial_tables=True)
    assert work.count("tables") == 1
    with nothing_but(["evaluation"], work):  # not even to predict the memory of one structure
        (found,) = evaluate_many([ethanol], calculator, ("energy", "forces"))
    with nothing_but(["evaluation"] * 3, work):
        as_evaluator(calculator)([ethanol], ("energy",))
        BatchEvaluator(calculator, dtype="float32", device="cpu")([ethanol])
        twin = PotentialCalculator(calculator.prepared)
        forces = twin.get_property("forces", ethanol)
    with nothing_but([], work):
        CommitteeCalculator([calculator, twin])
    np.testing.assert_array_equal(forces, calculator.get_property("forces", ethanol))
    np.testing.assert_array_equal(found["forces"], forces)
    assert twin.neighbors is not calculator.neighbors


def test_lists_need_one_preparation(potential: Potential, ethanol: Atoms, work: list[str]) -> None:
    evaluate = BatchEvaluator(potential, device="cpu")
    with nothing_but(["evaluation"], work):
        evaluate([ethanol])
    evaluate([ethanol] * 2)  # now memory is predicted, once
    with nothing_but(["evaluation"] * 2, work):
        evaluate([ethanol] * 2)
        evaluate.calculator.get_property("energy", ethanol)


def test_only_what_changes_is_prepared_anew(potential: Potential, ethanol: Atoms) -> None:
    first = PreparedPotential(potential, CalculatorSettings(device="cpu", radial_tables=True))
    same = first.with_settings(device="cpu", dtype="float64", skin=0.5)
    assert same is first
    thin = first.with_settings(skin=0.0, neighbors="torch", keep_memory=False)
    assert thin.potential is first.potential
    assert thin.function is first.function
    assert (thin.settings.skin, first.settings.skin) == (0.0, 0.5)
    assert PotentialCalculator(thin).neighbors.skin == 0.0
    single = prepare(first, dtype="float32")
    assert single.potential is not first.potential
    assert (single.dtype, first.dtype) == (torch.float32, torch.float64)
    assert single.table_errors is not None
    plain = prepare(first, radial_tables=False)
    assert plain.table_errors is None
    with pytest.raises(ValueError, match="backend 'magic' is unknown"):
        first.with_settings(neighbors="magic")
    with pytest.raises(TypeError, match="unknown keyword 'dtypes'; did you mean 'dtype'"):
        first.with_settings(dtypes="float32")


def test_long_range_terms_are_kept_by_other_dtypes(
    make_potential: Callable[..., Potential], silicon: Atoms
) -> None:
    charged = make_potential(cutoff=3.0, charge_width=16)
    charged.terms.update(build_terms({"electrostatics": {"long_range_cutoff": 8.0}}))
    short = PotentialCalculator(charged, device="cpu", long_range_cutoff=5.0)
    again = prepare(short, dtype="float32")
    assert again.potential.far_cutoff == short.potential.far_cutoff == 5.0
    assert again.settings.long_range_cutoff == 5.0
    (found,) = evaluate_many([silicon], short, long_range_cutoff=8.0)
    eight = PotentialCalculator(charged, device="cpu", long_range_cutoff=8.0)
    expected = eight.get_property("energy", silicon)
    assert found["energy"] == expected != short.get_property("energy", silicon)
    summed = prepare(charged, device="cpu", ewald=True)
    assert prepare(summed, dtype="float32").potential.is_reciprocal
    assert not summed.with_settings(ewald=False, long_range="published").potential.is_reciprocal


@pytest.mark.parametrize("compiled", [False, True])
def test_each_kind_of_boundaries_is_prepared_once(
    make_potential: Callable[..., Potential], compiled: bool
) -> None:
    charged = make_potential(cutoff=3.0, charge_width=16)
    plain = prepare(charged, device="cpu", compile=compiled)
    assert plain.fitting(OPEN) is plain.fitting(CRYSTAL) is plain
    charged.terms.update(build_terms({"electrostatics": {"truncation": "published"}}))
    prepared = prepare(charged, device="cpu", compile=compiled)
    free, crystal = prepared.fitting(OPEN), prepared.fitting(CRYSTAL)
    assert free is prepared.fitting(OPEN) is crystal.fitting(OPEN)
    assert list(crystal.potential.terms) == ["ewald"]
    assert free.potential.far_cutoff == np.inf
    assert free.potential.architecture is crystal.potential.architecture
    assert free.function is not crystal.function
    thin = prepared.with_settings(skin=0.1)
    assert thin.fitting(CRYSTAL).function is crystal.function
    assert thin.fitting(CRYSTAL).settings.skin == 0.1
    assert crystal.with_settings(skin=0.1).settings == thin.settings
    for explicit in ({"long_range": "published"}, {"long_range_cutoff": 6.0}, {"ewald": True}):
        fixed = prepared.with_settings(**explicit)
        assert fixed.fitting(OPEN) is fixed.fitting(CRYSTAL) is fixed
    published = prepared.with_settings(long_range="published").potential
    assert published.terms_settings == charged.terms_settings
    again = pickle.loads(pickle.dumps(crystal))
    assert again.fitting(CRYSTAL) is not crystal
    assert list(again.fitting(CRYSTAL).potential.terms) == ["ewald"]


@pytest.mark.parametrize(
    "carry", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("compiled", [False, True])
def test_copies_are_independent(carry: Callable, compiled: bool, potential: Potential) -> None:
    first = PreparedPotential(potential, CalculatorSettings(device="cpu", compile=compiled))
    other = carry(first)
    assert other.potential is not first.potential
    assert other.function is not first.function
    assert getattr(other.function, "potential", other.function) is other.potential
    assert other.memory.model.potential is other.potential
    assert other.settings == first.settings
