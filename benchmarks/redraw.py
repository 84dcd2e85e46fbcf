"""The figures of the documentation that follow from the tables beside them, drawn again.

    python benchmarks/redraw.py

Nothing is computed: ``docs/benchmarks`` holds what was measured, and ``docs/images`` receives the
figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ablation
import est_equivariance
import learning_curve
import nonlocality
import numpy as np
import scaling
from matplotlib.figure import Figure

from ase_geomformer.runs.style import save_figure

DOCS = Path(__file__).parent.parent / "docs"


def of_study(content: Any) -> Figure:
    """Of a study of parts of an architecture."""
    return ablation.draw(content["title"], content["rows"])


def of_twist(content: Any) -> Figure:
    """Of what local and non-local models see of a twist."""
    curves = {name: np.array(values) for name, values in content["energy_eV"].items()}
    return nonlocality.draw(np.array(content["angle_degrees"]), curves, content["carbons"])


def of_equivariance(content: Any) -> Figure:
    """Of errors of equivariance against points on the sphere."""
    rows = [est_equivariance.Block(**row) for row in content["blocks"]]
    return est_equivariance.draw(rows)


FIGURES: dict[str, Callable[[Any], Figure]] = {
    "benchmarks/est-aspirin.json": of_study,
    "benchmarks/est-ethanol.json": of_study,
    "benchmarks/est-silicon.json": of_study,
    "benchmarks/est_equivariance.json": of_equivariance,
    "benchmarks/geomformer-cross-attention.json": of_study,
    "benchmarks/geomformer-strengthening.json": of_study,
    "benchmarks/nonlocality.json": of_twist,
    "benchmarks/scaling.json": lambda content: scaling.draw(content["rows"]),
    "images/learning_curve.json": learning_curve.draw,
}


def main() -> None:
    """Draw all of them."""
    for name, draw in FIGURES.items():
        content = json.loads((DOCS / name).read_text(encoding="utf-8"))
        save_figure(draw(content), DOCS / "images" / f"{Path(name).stem}.png")


if __name__ == "__main__":
    main()
