"""Tables in Jupyter."""

from __future__ import annotations

from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer import load_potential
from ase_geomformer.machine.notebook import table_html
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.recipes import EOSSettings, eos
from ase_geomformer.settings.shown import Shown
from tests.settings.test_ranges import settings_classes


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


def test_settings_are_a_table_with_units() -> None:
    shown = MDSettings(steps=7)._repr_html_()
    assert "<td>timestep_fs</td><td>" in shown
    assert "<td>fs</td>" in shown
    row = next(line for line in shown.splitlines() if "<td>steps</td>" in line)
    assert row == "<tr><td>steps</td><td>7</td><td></td><td>set</td></tr>"
    assert "<td>guards.max_force_eV_per_A</td>" in shown or "guards." in shown


def test_every_settings_class_is_shown() -> None:
    for settings in settings_classes():
        assert issubclass(settings, Shown), settings


def test_a_potential_tells_what_it_is() -> None:
    shown = load_potential("so3krates-mlearn-si")._repr_html_()
    for text in ("<caption>so3krates-mlearn-si</caption>", "<td>Si</td>", "PBE", "5 Å"):
        assert text in shown
