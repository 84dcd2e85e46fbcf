"""Progress bars."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from ase_geomformer.runs import report

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("made", [0, 3, 500])
def test_a_bar_shows_the_time_taken_at_its_end(made: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the work ends before its last step, as that of a relaxation does."""
    drawn, bar = io.StringIO(), report.new_bar
    console = Console(file=drawn, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(report, "new_bar", lambda: bar(console))
    with report.progress_bar("relax", 500, shown=True) as advance:
        time.sleep(1.1)
        advance(made, "0.1 eV/Å")
    last = drawn.getvalue().split("relax")[-1]
    assert f"{made}/500 0.1 eV/Å 00:01" in last
