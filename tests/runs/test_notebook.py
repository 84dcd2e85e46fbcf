"""Tables in Jupyter."""

from __future__ import annotations

from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes import EOSSettings, eos
from ase_geomformer.runs.notebook import table_html


def test_cells_are_text() -> None:
    shown = table_html("<b>", [("<script>", "a & b")], head=("x\x1b", "y"))
    assert "<b>" not in shown
    assert "<script>" not in shown
    assert "a &amp; b" in shown
    assert "\x1b" not in shown


def test_results_are_tables_with_units() -> None:
    shown = eos(bulk("Cu"), EMT(), EOSSettings(), progress=False)._repr_html_()
    assert "volume" in shown
    assert "<td>GPa</td>" in shown
