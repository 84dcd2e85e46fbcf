"""What results show of themselves."""

from __future__ import annotations

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes import EOSSettings, eos

pytestmark = pytest.mark.quick


def test_printed_results_are_a_line_of_numbers_and_not_of_arrays() -> None:
    result = eos(bulk("Cu"), EMT(), EOSSettings(), progress=False)
    shown = repr(result)
    assert shown.startswith("<EOSResult: ")
    assert f"B {result.fit.bulk_modulus_GPa:.3f} ±" in shown
    assert "\n" not in shown
    assert "array(" not in shown
