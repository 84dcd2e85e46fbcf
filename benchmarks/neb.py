"""A nudged elastic band with all images in one evaluation, and image by image.

Both ways evaluate the same images in turns, so that what else the machine does meets both alike:

python benchmarks/neb.py --output docs/benchmarks/neb.json
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from ase.mep import NEB
from cases import potential
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import NEBSettings
from ase_geomformer.recipes.path.band import Band
from ase_geomformer.recipes.path.ends import checked_path, interpolated
from ase_geomformer.runs.plain import to_json


class CountedEvaluator(BatchEvaluator):
    """Counts the passes through the potential."""

    passes = 0

    def __call__(self, structures: Iterable[Atoms], *arguments: Any, **options: Any) -> Any:
        with_hook = self.potential.register_forward_hook(self._count)
        try:
            return super().__call__(structures, *arguments, **options)
        finally:
            with_hook.remove()

    def _count(self, *_: object) -> None:
        self.passes += 1


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[7, 11, 19])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [measure(images, options.steps, options.device) for images in options.images]
    table = Table(title="one step of a band of ethanol", box=SIMPLE_HEAD)
    for heading in ("images", "passes", "one by one (ms)", "together (ms)", "ratio"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            str(row["images"]),
            f"{row['passes_per_step']:g}",
            f"{row['one by one']['cpu_min_ms']:.1f}",
            f"{row['together']['cpu_min_ms']:.1f}",
            f"{row['ratio']:.2f}",
        )
    Console().print(table)
    if options.output is not None:
        write_text(options.output, to_json({**machine(), "device": options.device, "rows": rows}))


def measure(images: int, steps: int, device: str) -> dict[str, Any]:
    """Times of a step of either way, and passes through the potential in a step of ours."""
    calculator = PotentialCalculator(potential(), device=device, dtype="float64")
    evaluate = CountedEvaluator(calculator)
    path = first_path(images)
    together = Band(path, evaluate, spring=0.1, align=False)
    reference = [image.copy() for image in path]
    for image in reference:
        image.calc = PotentialCalculator(calculator.potential, device=device)
    one_by_one = NEB(reference, k=0.1, method="improvedtangent")
    one_by_one.get_forces()
    rng = np.random.default_rng(0)
    moves = iter(rng.normal(scale=0.01, size=(steps + 1, len(together), 3)))
    start = together.get_positions()
    before = evaluate.passes
    now: dict[str, np.ndarray] = {}

    def step(band: NEB, move: Callable[[], np.ndarray]) -> Callable[[], tuple[float, float]]:
        def timed() -> tuple[float, float]:
            band.set_positions(start + move())
            return sample(band.get_forces)

        return timed

    def fresh() -> np.ndarray:
        now["move"] = next(moves)
        return now["move"]

    found = in_turns(
        {
            "together": step(together, fresh),
            "one by one": step(one_by_one, lambda: now["move"]),
        },
        steps,
    )
    np.testing.assert_allclose(together.get_forces(), one_by_one.get_forces(), atol=1e-8)
    return {
        "images": images,
        "passes_per_step": (evaluate.passes - before) / steps,
        "ratio": found["one by one"]["cpu_min_ms"] / found["together"]["cpu_min_ms"],
        **found,
    }


def first_path(images: int) -> list[Atoms]:
    """Ethanol's hydroxyl group turning."""
    trans = molecule("CH3CH2OH")
    gauche = trans.copy()
    gauche.set_dihedral(0, 1, 2, 3, 60.0, indices=[3])
    settings = NEBSettings(images=images)
    return interpolated(*checked_path([trans, gauche], settings), settings)


if __name__ == "__main__":
    main()
